-- All that the files have of some customers.
insert into consumer_analytics_internal.archived_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select event_id, customer_id, consumer_id, event_type, payload_json::json, created_at
from pg_temp.archiving_told
on conflict (event_id) do nothing
