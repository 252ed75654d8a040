delete from consumer_analytics_internal.tenants
using pg_roles
where rolname = %(login)s and login::oid = pg_roles.oid
