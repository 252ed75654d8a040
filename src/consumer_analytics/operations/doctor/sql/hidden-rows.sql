-- Tables of ours that row-level security filters for this login, as the policy that lets
-- everybody through is gone. Whose the table is says who can make it again.
select
    nspname::text as schema,
    relname::text as table,
    pg_has_role(relowner, 'usage') as is_owner
from pg_class
join pg_namespace on pg_namespace.oid = relnamespace
where row_security_active(pg_class.oid)
    and nspname = 'public'
    and relname in ('consumer_analytics', 'consumer_analytics_revisions')
    and not exists (
        select from pg_policy
        where polrelid = pg_class.oid and polname = 'everybody' and polpermissive
    )
order by relname
