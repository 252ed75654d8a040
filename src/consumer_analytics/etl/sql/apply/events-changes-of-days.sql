-- What events-changes found, whatever the day.
select consumer_id, event_type, consumer_analytics_internal.total(n) as n
from pg_temp.event_changes
where consumer_id is not null
group by consumer_id, event_type
