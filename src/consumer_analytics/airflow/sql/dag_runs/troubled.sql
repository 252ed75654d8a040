-- The last finished run of each of our DAGs, where it failed, with the tasks that
-- did; and runs that have been at work, or waiting, for long.
select 'failed' as state, run.dag_id, run.run_id, run.end_date as at, failed.tasks as failed_tasks
from unnest(%(dags)s::text[]) as wanted (dag_id)
cross join lateral (
    select *
    from {dag_run} as dag_run
    where dag_run.dag_id = wanted.dag_id and dag_run.state in ('success', 'failed')
    order by dag_run.end_date desc nulls last
    limit 1
) as run
cross join lateral (
    select string_agg(task.task_id, ', ' order by task.task_id) as tasks
    from {task_instance} as task
    where task.dag_id = run.dag_id and task.run_id = run.run_id and task.state = 'failed'
) as failed
where run.state = 'failed'
union all
select run.state, run.dag_id, run.run_id, coalesce(run.start_date, run.queued_at), null
from {dag_run} as run
where run.dag_id = any(%(dags)s::text[])
    and run.state in ('queued', 'running')
    and coalesce(run.start_date, run.queued_at) < now() - %(long)s::interval
order by state, dag_id, at
