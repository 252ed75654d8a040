-- Leave an extract of the events for the session that loads.
insert into consumer_analytics_internal.extracted_events (run_id, {event_columns})
select %(run_id)s, {event_columns}
from pg_temp.extracted_events
