-- The latest restatements, those of one command by their snapshots, and what each row said next: in its next
-- revision, else now. Where the row was withdrawn there is nothing, which JSON's null is not.
select
    reported_until,
    reason,
    consumer_id,
    snapshot_timestamp,
    metrics_json,
    said_next,
    said_next is null
from (
    select
        old.reported_until,
        old.reason,
        old.consumer_id::text,
        old.snapshot_timestamp,
        old.metrics_json,
        coalesce(
            (
                select next.metrics_json
                from public.consumer_analytics_revisions as next
                where next.analytics_id = old.analytics_id and next.revision_id > old.revision_id
                order by next.revision_id
                limit 1
            ),
            (
                select snapshot.metrics_json
                from public.consumer_analytics as snapshot
                where snapshot.analytics_id = old.analytics_id
            )
        ) as said_next
    from (
        select *
        from public.consumer_analytics_revisions
        order by revision_id desc
        limit %(limit)s
    ) as old
) as latest
order by reported_until desc, snapshot_timestamp desc, consumer_id nulls first
