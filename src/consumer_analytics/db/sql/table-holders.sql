-- Who has locks on tables that keep another from locking them, the longest first. A prepared
-- transaction has no process. A login that may not see other sessions sees no more than these.
select
    held.pid,
    activity.usename::text,
    activity.application_name,
    activity.state,
    extract(epoch from clock_timestamp() - activity.xact_start)::float8 as seconds,
    min(held.relation::regclass::text) as locked
from pg_locks as held
left join pg_stat_activity as activity on activity.pid = held.pid
where held.locktype = 'relation'
    and held.granted
    and held.database = (select oid from pg_database where datname = current_database())
    and held.relation = any(array(select to_regclass(name)::oid from unnest(%(tables)s::text[]) as name))
    and held.mode <> all(%(harmless)s::text[])
    and held.pid is distinct from pg_backend_pid()
group by held.pid, activity.usename, activity.application_name, activity.state, activity.xact_start
order by seconds desc nulls first
limit 3
