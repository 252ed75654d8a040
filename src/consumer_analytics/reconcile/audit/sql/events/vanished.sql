-- What is noted as vanished still counts.
insert into audit_events (consumer_id, day, slot, event_type, n, counted)
select consumer_id, since::date, width_bucket(since, %(bounds)s::timestamptz[]), event_type, n, true
from consumer_analytics_internal.vanished_events
