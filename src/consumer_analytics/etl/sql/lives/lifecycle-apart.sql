-- In a table of its own, where much of the source is read: it is read once.
create temporary table lifecycle_events on commit drop as
select customer_id, event_id, event_type, at, consumer_id, status, old_status, new_status
from {lifecycle} as lifecycle
