-- What Airflow knows of a DAG: whether it may run, what its last finished run was,
-- which one is at work, and how many failed within the last day. Runs of
-- `airflow dags test` are nobody's business: their durations mean nothing.
with runs as (
    select
        run_id,
        state,
        start_date,
        end_date,
        coalesce(logical_date, run_after) as instant,
        queued_at,
        clear_number > 0 as is_again,
        -- A task of it has failed for good; Airflow has yet to say so of the run.
        state in ('running', 'queued') and exists (
            select
            from consumer_analytics_internal.task_failures as failures
            where failures.dag_id = dag_run.dag_id
                and failures.run_id = dag_run.run_id
                and failures.failed_at >= dag_run.start_date
        ) as is_lost
    from {dag_run} as dag_run
    where dag_id = %(dag)s and upper(coalesce(triggered_by::text, '')) <> 'TEST'
)

select
    (select is_paused from {dag} where dag_id = %(dag)s) as is_paused,
    (select has_import_errors from {dag} where dag_id = %(dag)s) as has_import_errors,
    (select max(latest_heartbeat) from {job} where job_type = 'SchedulerJob') as scheduler_seen_at,
    finished.run_id,
    finished.state,
    finished.start_date,
    finished.end_date,
    working.run_id as working_run_id,
    working.state as working_state,
    coalesce(working.start_date, working.queued_at) as working_since,
    coalesce(working.is_again and working.instant > finished.instant, false) as is_newer_again,
    (
        select count(*)
        from runs
        where is_lost or (state = 'failed' and end_date > %(now)s - interval '1 day')
    ) as failed
from (values (1)) as one (row)
left join lateral (
    select *
    from runs
    where state in ('success', 'failed') and start_date is not null and end_date is not null
    order by end_date desc
    limit 1
) as finished on true
left join lateral (
    select *
    from runs
    where state in ('running', 'queued') and not is_lost
    order by state = 'running' desc, instant
    limit 1
) as working on true
