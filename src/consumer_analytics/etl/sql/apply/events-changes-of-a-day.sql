-- What events-changes found, where it is of one day.
select consumer_id, event_type, n
from pg_temp.event_changes
where consumer_id is not null
