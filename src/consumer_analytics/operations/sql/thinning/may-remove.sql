-- Whether this login may remove what thinned snapshots said before. By the catalog: a name cannot be
-- resolved in a schema that is out of reach.
select exists (
    select from pg_proc
    join pg_namespace on pg_namespace.oid = pronamespace
    where nspname = 'consumer_analytics_internal'
        and proname = 'forget_thinned_revisions'
        and has_function_privilege(pg_proc.oid, 'execute')
)
