-- Who has the job's lock.
select activity.pid, activity.application_name
from pg_locks as held
join pg_stat_activity as activity using (pid)
where held.locktype = 'advisory'
    and held.classid = %(lock)s::oid
    and held.granted
    and held.database = (select oid from pg_database where datname = current_database())
