-- Backfills whose session lives: it has the mark that the record names.
select work.backfill_id
from consumer_analytics_internal.backfills as work
join pg_locks as mark
    on mark.pid = work.session_pid
        and mark.objid = work.session_mark::oid
        and mark.locktype = 'advisory'
        and mark.classid = %(mark)s::oid
        and mark.objsubid = 2
        and mark.database = (select oid from pg_database where datname = current_database())
where work.state = 'running'
