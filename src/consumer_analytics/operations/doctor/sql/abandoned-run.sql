-- The run that the watermark's row says is at work, where its session is gone; or where no session
-- of ours has been seen at work on it and it was opened long ago. Between two tasks of a DAG
-- run there is none for a moment.
select run.run_key, run.opened_at, date_trunc('second', now() - run.opened_at)::text
from consumer_analytics_internal.runs as run
where run.state = 'open'
    and exists (
        select from public.etl_job_watermarks
        where job_name = {job} and last_run_status = 'running'
    )
    and (
        {run_state} = 'interrupted'
        or run.opened_at < now() - %(after)s::interval
        and not exists (
            select from pg_stat_activity
            where datname = current_database()
                and pid <> pg_backend_pid()
                and application_name ~ '^consumer-analytics (run|up|airflow)'
                and backend_start < now() - interval '2 seconds'
                and greatest(state_change, query_start) >= run.opened_at
        )
    )
order by run.opened_at desc
limit 1
