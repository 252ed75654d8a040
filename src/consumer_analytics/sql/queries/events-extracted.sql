-- How many events a run's extract has counted.
select coalesce(sum(n), 0)::bigint
from consumer_analytics_internal.extracted_events
where run_id = %(run_id)s
