insert into consumer_analytics_internal.tenants (login, consumer_id)
select oid::regrole, %(consumer)s
from pg_roles
where rolname = %(login)s
on conflict do nothing
