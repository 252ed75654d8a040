-- The columns of the source tables that this login may read, by the product's names of the tables: what
-- each is in the end, below any domains over it, whether it is worked out whenever it is read, and its
-- collation where that takes different words for the same.
select
    source.known,
    attribute.attname,
    base.name as type,
    attribute.attgenerated = 'v' as is_virtual,
    (
        select own.collname::text
        from pg_collation as own
        where own.oid = attribute.attcollation and not own.collisdeterministic
    ) as merging
from {source_tables} as source (known, schema, name)
inner join pg_namespace as namespace on namespace.nspname = source.schema
inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
inner join pg_attribute as attribute on attribute.attrelid = class.oid
cross join lateral (
    with recursive below as (
        select type.oid, type.typtype, type.typbasetype, type.typname, type.typnamespace
        from pg_type as type
        where type.oid = attribute.atttypid
        union all
        select type.oid, type.typtype, type.typbasetype, type.typname, type.typnamespace
        from below
        inner join pg_type as type on type.oid = below.typbasetype
        where below.typtype = 'd'
    )

    select
        case
            when typtype = 'e' then 'enum'
            when typname = 'citext' then 'citext'
            when typnamespace = 'pg_catalog'::regnamespace then format_type(oid, null)
            else typname::text
        end as name
    from below
    where typtype <> 'd'
) as base
where class.relkind in ('r', 'p', 'v', 'm', 'f')
    and attribute.attnum > 0
    and not attribute.attisdropped
    and has_schema_privilege(class.relnamespace, 'usage')
    and has_column_privilege(class.oid, attribute.attnum, 'select')
