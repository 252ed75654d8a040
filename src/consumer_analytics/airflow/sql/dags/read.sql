-- Our DAGs as Airflow knows them, and whether a run of theirs is overdue.
select
    wanted.dag_id,
    dag.dag_id is not null and not dag.is_stale as is_known,
    coalesce(dag.is_paused, false) as is_paused,
    dag.next_dagrun_create_after as next_run_at,
    coalesce(dag.next_dagrun_create_after < now() - %(grace)s::interval, false) as is_late
from unnest(%(dags)s::text[]) with ordinality as wanted (dag_id, place)
left join {dag} as dag on dag.dag_id = wanted.dag_id
order by wanted.place
