-- Source tables whose created_at has no zone, what it is by default, and whether that is the clock of the
-- session that writes: neither converted, nor a column's own expression.
select
    source_table.known,
    time.attname::text,
    pg_get_expr(source.adbin, source.adrelid) as by_default,
    coalesce(
        pg_get_expr(source.adbin, source.adrelid) ~* '(now|timestamp)'
        and pg_get_expr(source.adbin, source.adrelid) !~* '(at time zone|timezone\()',
        false
    ) as is_the_sessions
from {source_tables} as source_table (known, schema, name)
inner join {source_columns} as known_time (source, known, name)
    on known_time.source = source_table.known and known_time.known = 'created_at'
inner join pg_namespace as namespace on namespace.nspname = source_table.schema
inner join pg_class as class on class.relnamespace = namespace.oid and class.relname = source_table.name
inner join pg_attribute as time on time.attrelid = class.oid and time.attname = known_time.name
left join pg_attrdef as source
    on source.adrelid = class.oid and source.adnum = time.attnum and time.attgenerated = ''
where class.relkind in ('r', 'p', 'v')
    and (
        time.atttypid = 'timestamp'::regtype
        or (select typbasetype from pg_type where oid = time.atttypid) = 'timestamp'::regtype
    )
order by array_position(%(tables)s::text[], source_table.known)
