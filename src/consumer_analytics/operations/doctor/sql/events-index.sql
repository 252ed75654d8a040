-- What the events' table is, about how large where anybody has looked, whether it is this login's, one
-- usable index that leads with a column, those whose building was interrupted,
-- the expression of a column that is worked out whenever it is read: it is
-- read as that, and an index on that is used; and whether there is such a column.
select
    class.relkind::text,
    nullif(class.reltuples, -1)::bigint,
    pg_has_role(class.relowner, 'usage'),
    min(index_class.relname::text) filter (where index.indisvalid and index.indisready),
    coalesce(array_agg(index_class.relname::text) filter (where not index.indisvalid), '{{}}'),
    case when named.attgenerated = 'v' then pg_get_expr(source.adbin, source.adrelid) end,
    named.attnum is not null
from pg_class as class
join pg_namespace on pg_namespace.oid = class.relnamespace
left join pg_attribute as named on named.attrelid = class.oid and named.attname = %(column)s
left join pg_attrdef as source on source.adrelid = class.oid and source.adnum = named.attnum
left join (
    pg_index as index
    join pg_class as index_class on index_class.oid = index.indexrelid
    join pg_am on pg_am.oid = index_class.relam and pg_am.amname = any(%(methods)s)
) on index.indrelid = class.oid
    and index.indpred is null
    and (
        index.indkey[0] = named.attnum
        or named.attgenerated = 'v'
        and pg_get_indexdef(index.indexrelid, 1, false) = pg_get_expr(source.adbin, source.adrelid)
    )
where nspname = %(schema)s and class.relname = %(table)s
group by class.oid, named.attnum, named.attgenerated, source.adbin, source.adrelid
