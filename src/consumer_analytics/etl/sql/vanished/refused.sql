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
    and exists (
        select
        from consumer_analytics_internal.vanished_events
        where until > at
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
    )
)
order by at
