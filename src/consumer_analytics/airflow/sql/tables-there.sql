-- Those of some tables of Airflow's that its version has.
select relname::text
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where nspname = %(schema)s and relname = any(%(names)s::text[])
order by relname
