-- Views that show a tenant more than its own rows: they read the snapshots as their
-- owner, whom row-level security lets through.
select distinct format('%%I.%%I', namespace.nspname, view.relname)
from pg_depend as uses
join pg_rewrite on pg_rewrite.oid = uses.objid
join pg_class as view on view.oid = pg_rewrite.ev_class
join pg_namespace as namespace on namespace.oid = view.relnamespace
where uses.classid = 'pg_rewrite'::regclass
    and uses.refclassid = 'pg_class'::regclass
    and uses.refobjid = any (array['public.consumer_analytics', 'public.consumer_analytics_revisions']::regclass[])
    and (
        view.relkind = 'm'
        or not coalesce(array_to_string(view.reloptions, ',') ~* 'security_invoker=(true|on|yes|1)', false)
    )
    and has_table_privilege(%(tenant)s, view.oid, 'select')
order by 1
