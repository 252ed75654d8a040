-- Events of a stretch of time, read from the source, by consumer and slot; what
-- has no column comes as rows of its own, its type in `rest`.
select counted.consumer_id, slots.slot, counted.rest, counted.events {columns}
from (
    select consumer_id, {began} as began, {rest} as rest, count(*) as events
        {pivoted}
    from {customer_events}
    where created_at >= {lower}::timestamptz and created_at < {upper}::timestamptz and {wanted}
    group by 1, 2, 3
) as counted
join unnest(%(began)s::timestamptz[], %(began_slots)s::int[]) as slots (began, slot) using (began)
