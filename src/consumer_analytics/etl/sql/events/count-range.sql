select consumer_id, day::date as day, {slot_of_day} as slot, event_type, n
from (
    select consumer_id, {day} as day, {slot_of_row} as slot_of_row, event_type::text as event_type, {events_there} as n
    from {customer_events} as customer_events
    where created_at >= {lower}::timestamptz and created_at < {upper}::timestamptz
    group by 1, 2, 3, 4
) as rows
