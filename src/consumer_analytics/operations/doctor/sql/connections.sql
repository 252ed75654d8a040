-- Sessions in use, those allowed and those kept for superusers, and the
-- application with most of them.
with sessions as (
    select coalesce(nullif(application_name, ''), '(no name)') as application
    from pg_stat_activity
    where backend_type = 'client backend'
),

most as (
    select application, count(*) as n
    from sessions
    group by application
    order by n desc, application
    limit 1
)

select
    (select count(*) from sessions),
    current_setting('max_connections')::int,
    current_setting('superuser_reserved_connections')::int,
    most.application,
    most.n
from most
