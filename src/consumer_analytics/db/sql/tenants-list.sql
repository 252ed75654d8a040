select rolname::text, consumer_id::text
from consumer_analytics_internal.tenants
join pg_roles on pg_roles.oid = login::oid
order by 1, 2
