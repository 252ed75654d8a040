-- What kind of table each source is, and how many parts it has.
select
    source.name,
    case class.relkind
        when 'r' then 'table'
        when 'p' then 'partitioned table'
        when 'v' then 'view'
        when 'm' then 'materialized view'
        else 'foreign table'
    end
    || coalesce(
        (select ' with ' || count(*) || ' parts' from pg_inherits where inhparent = class.oid having count(*) > 0), ''
    ) as kind
from {source_tables} as source (known, schema, name)
inner join pg_namespace as namespace on namespace.nspname = source.schema
inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = source.name
where class.relkind in ('r', 'p', 'v', 'm', 'f')
order by array_position(%(tables)s::text[], source.known)
