-- The schema of Airflow's metadata in this database, and whether this login may
-- read what is taken from them. Airflow's `dag_run` is known by its columns.
select
    namespace.nspname::text as schema,
    has_schema_privilege(namespace.oid, 'usage')
    and (
        select bool_and(has_table_privilege(wanted.oid, 'select'))
        from pg_class as wanted
        where wanted.relnamespace = namespace.oid
            and wanted.relname = any(%(read)s::text[])
    ) as readable
from pg_class as class
join pg_namespace as namespace on namespace.oid = class.relnamespace
where class.relname = 'dag_run'
    and class.relkind = 'r'
    and (
        select count(*)
        from pg_attribute
        where attrelid = class.oid and attname in ('dag_id', 'run_after', 'triggered_by')
    ) = 3
order by namespace.nspname = 'airflow' desc, namespace.nspname
limit 1
