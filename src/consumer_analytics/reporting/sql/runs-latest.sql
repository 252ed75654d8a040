select
    run_key,
    snapshot_source,
    state,
    requested_at,
    reached_at,
    opened_at,
    finished_at,
    summary
from consumer_analytics_internal.runs
order by opened_at desc
limit %(limit)s
