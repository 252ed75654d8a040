-- Of these instants those that no command writes: vanished events lie around one, and nobody knows
-- on which side; or lifecycle events have vanished after it, and it was not reported.
select at
from unnest(%(instants)s::timestamptz[]) as asked (at)
where exists (
    select
    from consumer_analytics_internal.vanished_events
    where until > at and until <= date_trunc('day', at) + interval '1 day' and since < at
) or (
    exists (
        select
        from consumer_analytics_internal.vanished_events
        where until > at
            and event_type in ('customer_creation', 'customer_status_change', 'customer_deletion')
    )
    and not exists (
        select
        from public.consumer_analytics
        where consumer_id is null and snapshot_timestamp = at
    )
)
order by at
