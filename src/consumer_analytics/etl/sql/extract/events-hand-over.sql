-- Leave an extract of the events for the session that loads.
insert into consumer_analytics_internal.extracted_events (run_id, consumer_id, day, slot, event_type, n)
select %(run_id)s, consumer_id, day, slot, event_type, n
from pg_temp.extracted_events
