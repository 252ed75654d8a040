-- Backfills whose session lives: it has the tag that the record names.
select work.backfill_id
from consumer_analytics_internal.backfills as work
join pg_locks as tag
    on tag.pid = work.session_pid
        and tag.objid = work.session_tag::oid
        and tag.locktype = 'advisory'
        and tag.classid = %(tag)s::oid
        and tag.objsubid = 2
        and tag.database = (select oid from pg_database where datname = current_database())
where work.state = 'running'
