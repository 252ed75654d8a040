-- Transactions of other sessions that are open in this database, the oldest
-- first. Our own readers hold a lock that says so; vacuum and parallel workers
-- write no rows of their own. `hidden` marks a session whose transaction this
-- login may not see.
select
    pid,
    usename,
    application_name,
    state,
    xact_start,
    query_start,
    query = '<insufficient privilege>' as hidden
from pg_stat_activity
where datname = current_database()
    and pid <> pg_backend_pid()
    and usename <> all (%(ignored_roles)s::text[])
    and (backend_type is null or backend_type not in ('autovacuum worker', 'parallel worker'))
    and (xact_start < %(before)s::timestamptz or query = '<insufficient privilege>')
    and pid not in (
        select pid
        from pg_locks
        where locktype = 'advisory' and classid = %(reader_lock)s::oid and objsubid = 2 and pid is not null
            and database = (select oid from pg_database where datname = current_database())
    )
order by xact_start
