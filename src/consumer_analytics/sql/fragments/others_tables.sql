-- Tables and views that are neither ours nor the server's, nor of one session alone: a row of the sources
-- could be written through any of them.
select relation.oid, relation.relowner, relation.relacl
from pg_class as relation
join pg_namespace as namespace on namespace.oid = relation.relnamespace
where relation.relkind in ('r', 'p', 'v', 'f')
    and relation.relpersistence <> 't'
    and namespace.nspname not in ('pg_catalog', 'information_schema', 'pg_toast', 'consumer_analytics_internal')
    and not (
        namespace.nspname = 'public'
        and relation.relname in ('consumer_analytics', 'consumer_analytics_revisions', 'etl_job_watermarks')
    )
