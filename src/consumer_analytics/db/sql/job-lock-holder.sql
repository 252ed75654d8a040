-- Who has the job's lock.
select activity.pid, activity.application_name
from pg_locks as held
join pg_stat_activity as activity using (pid)
where held.locktype = 'relation'
    and held.relation = 'consumer_analytics_internal.job_lock'::regclass
    and held.database = (select oid from pg_database where datname = current_database())
    and held.mode in ('ShareLock', 'ExclusiveLock')
    and held.granted
