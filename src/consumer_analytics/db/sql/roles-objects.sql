-- The product's own objects, and who owns them. Sequences behind identity columns
-- follow their tables.
select 'schema' as kind, null::text as schema, nspname::text as name, '' as arguments, nspowner::regrole::text as owner
from pg_namespace
where nspname = 'consumer_analytics_internal'
union all
select
    case relkind when 'S' then 'sequence' when 'v' then 'view' else 'table' end,
    nspname::text,
    relname::text,
    '',
    relowner::regrole::text
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where relkind in ('r', 'p', 'v', 'S')
    and (nspname = 'consumer_analytics_internal' or nspname = 'public' and relname = any (%(public)s))
    and not exists (
        select from pg_depend
        where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype in ('i', 'a')
    )
union all
select 'function', nspname::text, proname::text, pg_get_function_identity_arguments(pg_proc.oid), proowner::regrole::text
from pg_proc
join pg_namespace on pg_namespace.oid = pronamespace
where nspname = 'consumer_analytics_internal' or nspname = 'public' and proname = any (%(public)s)
order by 1, 2, 3
