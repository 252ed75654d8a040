-- Extracts of runs that nobody will load: the runs' state tells, or that they are gone.
from consumer_analytics_internal.extracted_events as aged
where not exists (
    select from consumer_analytics_internal.runs as run
    where run.run_id = aged.run_id and run.state = 'open' and run.opened_at >= now() - interval '7 days'
)
