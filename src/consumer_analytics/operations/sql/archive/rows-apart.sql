-- The rows of a day that are to be written, in a table of their own: what is written, counted and kept
-- is the same. Of a day that has files the rows that none of them has.
create temporary table archiving on commit drop as
select
    event_id,
    customer_id,
    consumer_id,
    event_type::text as event_type,
    payload_json::text as payload_json,
    created_at::timestamptz as created_at,
    {row_digest} as digest
from {customer_events} as own
where created_at >= %(day)s::date::timestamptz
    and created_at < (%(day)s::date + 1)::timestamptz
    and {wanted}
