-- The first day of what waits to be told.
select min(day)::timestamptz
from consumer_analytics_internal.untold_events
