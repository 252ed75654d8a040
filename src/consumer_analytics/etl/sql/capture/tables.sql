-- The source tables with the tables that hold their rows: partitions, and tables that inherit.
-- What is written to one of these directly, the triggers of the table above do not see.
with recursive tree as (
    select class.oid, source.known as source, 0 as depth
    from {source_tables} as source (known, schema, name)
    inner join pg_namespace as namespace on namespace.nspname = source.schema
    inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
    union
    select inhrelid, tree.source, tree.depth + 1
    from tree
    inner join pg_inherits on inhparent = tree.oid
)

select
    tree.source::text,
    namespace.nspname::text,
    class.relname::text,
    class.relkind::text,
    class.relispartition,
    -- Those that fire: what each of them runs, and whether only on a condition.
    coalesce(
        (
            select jsonb_object_agg(
                watch.tgname,
                jsonb_build_array(
                    case
                        when function.pronamespace = 'consumer_analytics_internal'::regnamespace then function.proname
                    end,
                    watch.tgqual is not null
                )
            )
            from pg_trigger as watch
            inner join pg_proc as function on function.oid = watch.tgfoid
            where watch.tgrelid = class.oid
                and watch.tgname like replace(%(prefix)s, '_', '\_') || '%%'
                and watch.tgenabled in ('A', 'O')
        ),
        '{{}}'
    ) as enabled,
    array(
        select watch.tgname::text
        from pg_trigger as watch
        where watch.tgrelid = class.oid and watch.tgname like replace(%(prefix)s, '_', '\_') || '%%'
    ) as there
from tree
inner join pg_class as class on class.oid = tree.oid
inner join pg_namespace as namespace on namespace.oid = class.relnamespace
order by min(tree.depth) over (partition by class.oid), tree.source, namespace.nspname, class.relname
