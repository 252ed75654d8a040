-- Source tables whose created_at has no zone, what it is by default, and whether that is the clock of the
-- session that writes: neither converted, nor a column's own expression.
select
    class.relname::text,
    pg_get_expr(source.adbin, source.adrelid) as by_default,
    coalesce(
        pg_get_expr(source.adbin, source.adrelid) ~* '(now|timestamp)'
        and pg_get_expr(source.adbin, source.adrelid) !~* '(at time zone|timezone\()',
        false
    ) as is_the_sessions
from pg_class as class
inner join pg_attribute as time on time.attrelid = class.oid and time.attname = 'created_at'
left join pg_attrdef as source
    on source.adrelid = class.oid and source.adnum = time.attnum and time.attgenerated = ''
where class.relname = any(%(tables)s)
    and class.relnamespace = to_regnamespace(quote_ident(%(schema)s))
    and class.relkind in ('r', 'p', 'v')
    and (
        time.atttypid = 'timestamp'::regtype
        or (select typbasetype from pg_type where oid = time.atttypid) = 'timestamp'::regtype
    )
order by array_position(%(tables)s::text[], class.relname::text)
