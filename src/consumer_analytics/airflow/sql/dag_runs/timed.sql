-- How long each task of the latest DAG runs took, as Airflow has it.
select
    run.run_id,
    run.state as run_state,
    run.start_date as run_started_at,
    run.end_date as run_ended_at,
    task.task_id,
    task.state as task_state,
    task.start_date as task_started_at,
    task.end_date as task_ended_at,
    task.try_number as tries
from (
    select dag_id, run_id, state, start_date, end_date
    from {dag_run}
    where dag_id = %(dag)s and start_date is not null and triggered_by::text is distinct from 'TEST'
    order by start_date desc
    limit %(limit)s
) as run
left join {task_instance} as task using (dag_id, run_id)
order by run.start_date desc, task.start_date nulls last, task.task_id
