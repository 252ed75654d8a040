-- The failed runs of those opened in a range, the newest first.
select
    run_key,
    snapshot_source,
    opened_at,
    finished_at,
    requested_at,
    summary ->> 'error_type',
    summary ->> 'error'
from consumer_analytics_internal.runs
where state = 'failed' and opened_at between %(since)s and %(until)s
order by opened_at desc
limit %(limit)s
