-- Missed deadlines of our DAGs that are not kept yet: those that Airflow has, and those of runs that
-- were queued again, for which it makes none. The task is the one that the run was at when its
-- deadline passed.
with missed as (
    select deadline.dagrun_id, deadline.deadline_time
    from {deadline} as deadline
    join {dag_run} as dag_run on dag_run.id = deadline.dagrun_id
    where deadline.missed
        -- Airflow keeps the deadline of a run that failed before it, and lets it pass.
        and (dag_run.end_date is null or dag_run.end_date > deadline.deadline_time)
        -- Where that one was then cleared, its end is a new one.
        and (dag_run.queued_at is null or dag_run.queued_at <= deadline.deadline_time)
    union
    select dag_run.id, dag_run.queued_at + %(allowed)s
    from {dag_run} as dag_run
    where dag_run.dag_id = %(dag)s
        and dag_run.state in ('running', 'queued')
        and dag_run.queued_at + %(allowed)s < %(now)s
        and not exists (
            select
            from {deadline} as its_own
            where its_own.dagrun_id = dag_run.id and its_own.deadline_time > dag_run.queued_at
        )
)

select
    dag_run.dag_id,
    dag_run.run_id,
    late.task_id,
    coalesce(dag_run.logical_date, dag_run.run_after) as execution_date,
    missed.deadline_time as deadline_at
from missed
join {dag_run} as dag_run on dag_run.id = missed.dagrun_id
left join lateral (
    select task_instance.task_id
    from {task_instance} as task_instance
    where
        task_instance.dag_id = dag_run.dag_id
        and task_instance.run_id = dag_run.run_id
        and (task_instance.end_date is null or task_instance.end_date > missed.deadline_time)
    order by task_instance.start_date nulls last, task_instance.task_id
    limit 1
) as late on true
where dag_run.dag_id like 'consumer\_analytics\_%%'
    and not exists (
        select
        from consumer_analytics_internal.deadline_misses as known
        where known.dag_id = dag_run.dag_id
            and known.run_id = dag_run.run_id
            and known.deadline_at = missed.deadline_time
    )
