-- What the events' table is, about how large, whether it is this login's, one
-- usable index that leads with created_at, and those whose building was interrupted.
select
    class.relkind::text,
    greatest(class.reltuples, 0)::bigint,
    pg_has_role(class.relowner, 'usage'),
    min(index_class.relname::text) filter (where index.indisvalid and index.indisready),
    coalesce(array_agg(index_class.relname::text) filter (where not index.indisvalid), '{{}}')
from pg_class as class
join pg_namespace on pg_namespace.oid = class.relnamespace
left join (
    pg_index as index
    join pg_class as index_class on index_class.oid = index.indexrelid
    join pg_am on pg_am.oid = index_class.relam and pg_am.amname in ('btree', 'brin')
    join pg_attribute as first
        on first.attrelid = index.indrelid
        and first.attnum = index.indkey[0]
        and first.attname = 'created_at'
) on index.indrelid = class.oid and index.indpred is null
where nspname = %(schema)s and class.relname = %(table)s
group by class.oid
