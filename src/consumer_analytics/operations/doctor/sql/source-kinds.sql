-- What kind of table each source is, and how many parts it has.
select
    class.relname::text,
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
from pg_class as class
where class.relname = any(%(tables)s)
    and class.relnamespace = to_regnamespace(quote_ident(%(schema)s))
    and class.relkind in ('r', 'p', 'v', 'm', 'f')
order by array_position(%(tables)s::text[], class.relname::text)
