-- The first day of what waits to be told, and up to which instant snapshots had been written.
select min(day)::timestamptz, max(until)
from consumer_analytics_internal.untold_events
