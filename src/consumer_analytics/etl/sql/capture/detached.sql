-- Tables with triggers of capture that hold rows of no source any more, such as partitions that were
-- detached, where this login may change them.
with recursive tree as (
    select class.oid
    from {source_tables} as source (known, schema, name)
    inner join pg_namespace as namespace on namespace.nspname = source.schema
    inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
    union
    select inhrelid
    from tree
    inner join pg_inherits on inhparent = tree.oid
)

select
    namespace.nspname::text,
    class.relname::text,
    class.relkind::text,
    array_agg(watch.tgname::text order by watch.tgname) as there
from pg_trigger as watch
inner join pg_proc as function on function.oid = watch.tgfoid
inner join pg_class as class on class.oid = watch.tgrelid
inner join pg_namespace as namespace on namespace.oid = class.relnamespace
where function.pronamespace = 'consumer_analytics_internal'::regnamespace
    and function.proname like 'capture\_%%'
    and watch.tgname like replace(%(prefix)s, '_', '\_') || '%%'
    and class.oid not in (select oid from tree)
    and pg_has_role(class.relowner, 'usage')
group by namespace.nspname, class.relname, class.relkind
order by namespace.nspname, class.relname
