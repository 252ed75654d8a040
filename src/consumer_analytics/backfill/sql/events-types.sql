-- Events of a stretch of time, read from the source, by consumer, slot and type:
-- those whose type has no column.
select counted.consumer_id, slots.slot, {event_type_name} as rest, counted.events
from (
    select
        consumer_id,
        {began} as began,
        event_type::text as event_type,
        count(*) as events
    from {customer_events} as customer_events
    where created_at >= {lower}::timestamptz and created_at < {upper}::timestamptz
        and coalesce(event_type::text, '(none)') <> all (%(types)s::text[]) and {wanted}
    group by 1, 2, 3
) as counted
join unnest(%(began)s::timestamptz[], %(began_slots)s::int[]) as slots (began, slot) using (began)
