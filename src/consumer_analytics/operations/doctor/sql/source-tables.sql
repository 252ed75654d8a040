-- Tables of the sources' names wherever they are, with all their columns, whoever may read them, and
-- whether this login may use the schema and read the whole table.
select
    namespace.nspname::text as schema,
    class.relname::text as table,
    array(
        select attname::text from pg_attribute
        where attrelid = class.oid and attnum > 0 and not attisdropped
    ) as columns,
    has_schema_privilege(namespace.oid, 'usage') as is_usable,
    has_table_privilege(class.oid, 'select') as is_readable
from pg_class as class
inner join pg_namespace as namespace on namespace.oid = class.relnamespace
where class.relname = any(%(tables)s)
    and class.relkind in ('r', 'p', 'v', 'm', 'f')
    and (namespace.nspname = %(schema)s or left(namespace.nspname, 3) <> 'pg_')
    -- All three, elsewhere: one of so plain a name may be anybody's.
    and (
        namespace.nspname = %(schema)s
        or 3 = (
            select count(*) from pg_class as other
            where other.relnamespace = namespace.oid and other.relname = any(%(tables)s)
        )
    )
order by 1, 2
