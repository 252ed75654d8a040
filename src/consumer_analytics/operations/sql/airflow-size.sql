-- What Airflow's tables take, indexes and all; nothing where they are elsewhere.
select sum(pg_total_relation_size(class.oid))::bigint
from pg_class as class
where class.relkind = 'r'
    and class.relnamespace = (select relnamespace from pg_class where oid = to_regclass('dag_run'))
    and class.relnamespace <> 'public'::regnamespace
