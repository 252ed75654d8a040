-- Extracts of runs that nobody will load: known by the runs alone. Under the job's
-- lock nobody's zeros are in use.
delete from consumer_analytics_internal.{table} as extract
where not exists (
    select from consumer_analytics_internal.runs as run
    where run.run_id = extract.run_id
        and run.state = 'open'
        and run.opened_at >= now() - interval '7 days'
)
