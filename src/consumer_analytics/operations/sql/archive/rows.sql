-- The rows to be written, in the order of a file.
select
    event_id::text,
    customer_id::text,
    consumer_id::text,
    event_type,
    payload_json,
    (extract(epoch from created_at) * 1000000)::bigint
from pg_temp.archiving
order by created_at, event_id
