-- A task that failed for good. The same failure is noted once.
insert into consumer_analytics_internal.task_failures
    (dag_id, run_id, task_id, try_number, failed_at, execution_date, error, log_url)
values (
    %(dag_id)s, %(run_id)s, %(task_id)s, %(try_number)s, %(failed_at)s, %(execution_date)s,
    %(error)s, %(log_url)s
)
on conflict do nothing
returning dag_id
