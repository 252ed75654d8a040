select exists (
    select
    from pg_trigger as watch
    join pg_proc as function on function.oid = watch.tgfoid
    join pg_namespace as schema on schema.oid = function.pronamespace
    where schema.nspname = 'consumer_analytics_internal'
        and function.proname like 'capture\_%%'
        and watch.tgenabled <> 'D'
)
