-- The source tables, by the product's names, and where there are tables of the product's names in other
-- schemas: with all their columns, whoever may read them, and whether this login may use the schema and
-- read the whole table.
select
    namespace.nspname::text as schema,
    source.known,
    array(
        select attname::text from pg_attribute
        where attrelid = class.oid and attnum > 0 and not attisdropped
    ) as columns,
    has_schema_privilege(namespace.oid, 'usage') as is_usable,
    has_table_privilege(class.oid, 'select') as is_readable
from pg_class as class
inner join pg_namespace as namespace on namespace.oid = class.relnamespace
left join {source_tables} as source (known, schema, name)
    on source.schema = namespace.nspname and source.name = class.relname
where class.relkind in ('r', 'p', 'v', 'm', 'f')
    -- All three, elsewhere: one of so plain a name may be anybody's.
    and (
        source.known is not null
        or class.relname = any(%(tables)s)
        and left(namespace.nspname, 3) <> 'pg_'
        and 3 = (
            select count(*) from pg_class as other
            where other.relnamespace = namespace.oid and other.relname = any(%(tables)s)
        )
    )
order by 1, 2
