-- Tenants' consumers of whom no snapshot tells. The sources are not asked: they may be views,
-- which would run others' code.
select pg_roles.rolname::text, tenant.consumer_id::text
from consumer_analytics_internal.tenants as tenant
join pg_roles on pg_roles.oid = tenant.login::oid
where not exists (
    select from public.consumer_analytics as told where told.consumer_id = tenant.consumer_id
)
order by 1, 2
