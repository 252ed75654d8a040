-- Whether Airflow's metadata is in this database, in its schema, for this login to read.
select count(*) = 2 and bool_and(has_table_privilege(pg_class.oid, 'select'))
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = 'airflow'
    and relname in ('dag_run', 'task_instance')
    and has_schema_privilege(pg_namespace.oid, 'usage')
