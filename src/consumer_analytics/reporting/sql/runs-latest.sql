select
    run_key,
    snapshot_source,
    {run_state} as state,
    requested_at,
    reached_at,
    opened_at,
    finished_at,
    summary
from consumer_analytics_internal.runs as run
order by opened_at desc
limit %(limit)s
