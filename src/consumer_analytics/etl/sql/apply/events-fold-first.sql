-- What the first run finds, as the counts by day: all of it is new.
insert into consumer_analytics_internal.event_days (day, consumer_id, event_type, n)
select day, consumer_id, event_type, n
from pg_temp.event_changes
-- As the index has them, but for the types, whose order costs more than it spares.
order by day, consumer_id
