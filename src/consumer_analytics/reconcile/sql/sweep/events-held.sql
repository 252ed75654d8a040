-- The events of a range that the source holds, each with its day.
select
    consumer_id,
    date_bin('1 day', created_at, '2000-01-01')::timestamptz as day,
    event_type::text as event_type,
    {events_of_row}::bigint as n
from {customer_events} as customer_events
where created_at >= {lower}::timestamptz and created_at < {upper}::timestamptz
