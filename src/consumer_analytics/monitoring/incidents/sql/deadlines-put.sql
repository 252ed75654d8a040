-- A deadline that was missed, kept whatever Airflow cleans up.
insert into consumer_analytics_internal.deadline_misses
    (dag_id, run_id, task_id, execution_date, deadline_at, noticed_at)
values (%(dag_id)s, %(run_id)s, %(task_id)s, %(execution_date)s, %(deadline_at)s, %(at)s)
on conflict do nothing
returning dag_id
