-- And those that were counted once and have vanished since. No bound lies within a stretch, but
-- for instants that are not compared.
with gone as materialized (
    select
        consumer_id,
        since::date as day,
        width_bucket(since, %(bounds)s::timestamptz[]) + 1 as place,
        since < %(processed_through)s::timestamptz as counted,
        event_type,
        n
    from consumer_analytics_internal.vanished_events
    where since >= %(lower)s::timestamptz and since < %(until)s::timestamptz
),

rest as (
    insert into audit_rest (consumer_id, day, place, counted, vanished, event_type, n)
    select consumer_id, day, place, counted, true, event_type, n
    from gone
    where event_type <> all(%(types)s::text[])
)

insert into audit_events (consumer_id, day, place, counted, vanished, events {columns})
select
    consumer_id,
    day,
    place,
    counted,
    true,
    sum(n)
    {pivoted}
from gone
group by consumer_id, day, place, counted
