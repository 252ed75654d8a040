-- The latest restatements, those of one command by their snapshots, what each row said next, in its next
-- revision, else now, and whether it was withdrawn: nothing is there then, which JSON's null is not.
select
    old.reported_until,
    old.reason,
    old.consumer_id::text,
    old.snapshot_timestamp,
    old.metrics_json,
    next.said,
    next.said is null
from (
    select *
    from public.consumer_analytics_revisions
    -- No index has them so. The last that were written are the latest commands', in any order.
    where reported_until >= (
        select min(reported_until)
        from (
            select reported_until
            from public.consumer_analytics_revisions
            order by revision_id desc
            limit %(limit)s
        ) as last_written
    )
    order by reported_until desc, snapshot_timestamp desc, consumer_id nulls first
    limit %(limit)s
) as old
cross join lateral (
    select coalesce(
        (
            select later.metrics_json
            from public.consumer_analytics_revisions as later
            where later.analytics_id = old.analytics_id and later.revision_id > old.revision_id
            order by later.revision_id
            limit 1
        ),
        (
            select snapshot.metrics_json
            from public.consumer_analytics as snapshot
            where snapshot.analytics_id = old.analytics_id
        )
    ) as said
) as next
order by old.reported_until desc, old.snapshot_timestamp desc, old.consumer_id nulls first
