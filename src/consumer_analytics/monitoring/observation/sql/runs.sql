-- What the engine knows of its own runs: the last one for an instant that the watermark
-- has not reached, the last finished one, and those that failed within the last day. A try
-- of a DAG's task that failed counts once it was the last, or has had the time to be tried
-- again. One that gave up its turn to another run has lost nothing.
with runs as not materialized (
    select *
    from consumer_analytics_internal.runs
    where (summary ->> 'error_type') is distinct from 'BusyError'
),

failed as (
    select run_key, summary, finished_at
    from runs
    where state = 'failed'
        and finished_at > %(now)s - interval '1 day'
        and (
            run_key not like 'airflow:%%'
            or finished_at <= %(now)s - %(until_tried_again)s * interval '1 second'
            or exists (
                select
                from consumer_analytics_internal.task_failures as failures
                where run_key = concat_ws(':', 'airflow', failures.dag_id, failures.run_id)
                    and failures.failed_at >= runs.opened_at
            )
        )
)

select
    latest.run_key,
    latest.state_now,
    latest.requested_at,
    latest.reached_at,
    latest.held_back_by,
    latest.opened_at,
    latest.finished_at,
    latest.summary,
    finished.run_key as finished_run_key,
    finished.state as finished_state,
    finished.opened_at as finished_opened_at,
    finished.finished_at as finished_finished_at,
    finished.summary as finished_summary,
    (select count(*) from failed) as failed,
    (select count(*) from failed where run_key not like 'airflow:%%') as failed_outside_airflow,
    (select summary from failed order by finished_at desc limit 1) as last_error,
    (select installed_at from consumer_analytics_internal.alembic_version) as installed_at
from (values (1)) as one (row)
left join lateral (
    select run.*, {run_state} as state_now
    from runs as run
    where requested_at > %(watermark)s
        -- Mostly there is none, which an index tells; else all runs would be looked through.
        and (select max(requested_at) from consumer_analytics_internal.runs) > %(watermark)s
    order by opened_at desc, run_id desc
    limit 1
) as latest on true
left join lateral (
    select *
    from runs
    where state in ('success', 'failed')
    order by finished_at desc
    limit 1
) as finished on true
