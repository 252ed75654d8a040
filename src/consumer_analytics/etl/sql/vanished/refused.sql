-- Of these instants those that no command writes: vanished events lie around one that was not
-- reported, and nobody knows on which side; or lifecycle events have vanished after it, and it was
-- not reported: of all of them, where `are_reported` is false.
select at
from unnest(%(instants)s::timestamptz[]) as asked (at)
cross join lateral (
    select %(are_reported)s and (
        exists (
            select
            from public.consumer_analytics
            where consumer_id is null and snapshot_timestamp = at
        )
        or (
            %(of_chosen)s
            and exists (
                select
                from consumer_analytics_internal.written_apart
                where snapshot_timestamp = at and consumers <> '{{}}'
            )
        )
    ) as is_reported
) as there
where exists (
    select
    from consumer_analytics_internal.vanished_events
    where until > at and until <= date_trunc('day', at) + interval '1 day' and since < at
) or (
    not is_reported
    and at > date_trunc('day', at)
    -- What is noted on either side of it may have been divided there for a window's sake.
    and exists (
        select
        from consumer_analytics_internal.vanished_events
        where until >= at
            and until <= date_trunc('day', at) + interval '1 day'
            and (until = at or since = at)
    )
) or (
    not is_reported
    and at > date_trunc('day', at)
    -- What a run takes in now has not been counted, so that none of it has vanished.
    and at < (select processed_through from consumer_analytics_internal.state where job_name = {job})
    -- Nor does a window's bound end a stretch: what is noted beyond it is of the stretch around this
    -- instant, unless a snapshot between the two was reported when it was noted, whatever became of that.
    and exists (
        select
        from (
            select since, until, max(noted_at) as noted_at
            from consumer_analytics_internal.vanished_events
            where until > date_trunc('day', at)
                and until <= date_trunc('day', at) + interval '1 day'
                and since >= date_trunc('day', at)
            group by since, until
        ) as noted
        cross join lateral (
            select least(at, noted.until) as lower, greatest(at, noted.since) as upper
        ) as between_them
        where not exists (
            select
            from public.consumer_analytics
            where consumer_id is null and snapshot_timestamp between lower and upper
        ) and not exists (
            select
            from consumer_analytics_internal.thinned_snapshots
            where snapshot_timestamp between lower and upper and thinned_at >= noted.noted_at
        ) and not exists (
            select
            from consumer_analytics_internal.written_snapshots as written
            where written.snapshot_timestamp between lower and upper
                and case
                    -- Taken back: what it said is kept, which no index finds.
                    when not written.is_whole and written.revisions > 0 then exists (
                        select
                        from public.consumer_analytics_revisions as kept
                        where kept.consumer_id is null
                            and kept.snapshot_timestamp = written.snapshot_timestamp
                            and kept.reported_until >= noted.noted_at
                    )
                    else false
                end
        )
    )
) or (
    not is_reported
    and exists (
        select
        from consumer_analytics_internal.vanished_events
        where until > at
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
    )
)
order by at
