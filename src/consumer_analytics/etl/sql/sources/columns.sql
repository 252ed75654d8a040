-- The columns of the source tables that this login may read.
select
    relname,
    attname,
    case
        when typtype = 'd' then format_type(typbasetype, null)
        when typnamespace = 'pg_catalog'::regnamespace then format_type(pg_type.oid, null)
        else 'USER-DEFINED'
    end as type
from pg_class
inner join pg_attribute on attrelid = pg_class.oid
inner join pg_type on pg_type.oid = atttypid
where relnamespace = to_regnamespace(quote_ident(%(schema)s))
    and relname = any(%(tables)s)
    and relkind in ('r', 'p', 'v', 'm', 'f')
    and attnum > 0
    and not attisdropped
    and has_column_privilege(pg_class.oid, attnum, 'select')
