-- Our DAGs as Airflow knows them, and whether a run of theirs is overdue.
select
    wanted.dag_id,
    dag.dag_id is not null and not dag.is_stale,
    coalesce(dag.is_paused, false),
    dag.next_dagrun_create_after,
    coalesce(dag.next_dagrun_create_after < now() - %(grace)s::interval, false)
from unnest(%(dags)s::text[]) with ordinality as wanted (dag_id, place)
left join {dag} as dag on dag.dag_id = wanted.dag_id
order by wanted.place
