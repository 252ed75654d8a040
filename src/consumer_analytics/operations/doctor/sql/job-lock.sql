-- Sessions that have the job's lock for themselves, since when they last did
-- something, and whether they have done nothing for longer than runs wait.
select
    activity.pid,
    coalesce(nullif(activity.application_name, ''), 'no application name'),
    coalesce(activity.state, 'unknown'),
    date_trunc('second', now() - activity.state_change)::text,
    coalesce(activity.state like 'idle%%', false)
    and activity.state_change < now() - %(patience)s * interval '1 second'
from pg_locks as held
join pg_stat_activity as activity using (pid)
where held.locktype = 'relation'
    and held.granted
    and held.mode = 'ExclusiveLock'
    and held.relation = 'consumer_analytics_internal.job_lock'::regclass
    and held.database = (select oid from pg_database where datname = current_database())
    and held.pid <> pg_backend_pid()
order by activity.state_change
