-- All events, by consumer, day, type and how many of the bounds lie at or before them.
insert into audit_events (consumer_id, day, slot, event_type, n, counted)
select consumer_id, day, slot, case when event_type ~ '\S' then event_type else '(none)' end, n, counted
from (
    select
        consumer_id,
        created_at::date as day,
        width_bucket(created_at::timestamptz, %(bounds)s::timestamptz[]) as slot,
        event_type::text as event_type,
        count(*) as n,
        created_at < %(processed_through)s::timestamptz as counted
    from {customer_events}
    where created_at < %(until)s::timestamptz
    group by 1, 2, 3, 4, 6
) as counts
