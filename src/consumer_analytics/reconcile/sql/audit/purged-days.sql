select count(distinct day)
from consumer_analytics_internal.event_days
where day <= %s
