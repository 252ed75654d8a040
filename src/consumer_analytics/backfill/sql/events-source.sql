-- Events of a stretch of time, read from the source, by consumer and slot, with a
-- column for each type that has one. Where others are among them, `events` is more
-- than the columns' sum: backfill-events-others counts those apart, which spares
-- the ordinary case a third key.
select counted.consumer_id, slots.slot, null::text as rest, counted.events {columns}
from (
    select consumer_id, {began} as began, count(*) as events
        {pivoted}
    from {customer_events} as customer_events
    where created_at >= {lower}::timestamptz and created_at < {upper}::timestamptz and {wanted}
    group by 1, 2
) as counted
join unnest(%(began)s::timestamptz[], %(began_slots)s::int[]) as slots (began, slot) using (began)
