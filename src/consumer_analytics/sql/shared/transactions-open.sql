-- Sessions of this database that have, or may have, a transaction open, the
-- oldest first. Our own readers are tagged so; vacuum and parallel workers write no
-- rows of their own.
--
-- `began` is when the transaction began, or an instant that precedes it:
-- * A session that is active without a transaction is between two of them, or is
--   just about to begin one. What it begins next is stamped with the start of its
--   statement (COMMIT AND CHAIN, several statements in one message), which may
--   be long past.
-- * A session that holds its virtual transaction's lock but tells no start does not
--   track its activity, or has not done so all the time: `untracked`.
-- `hidden` marks a session whose transaction this login may not see.
--
-- Who could not write to the sources in any way is left out, unless it has written to something
-- already: its right may have been taken away since.
with others_tables as (
    {others_tables}
),

sessions as (
    select
        pid,
        usesysid,
        usename,
        application_name,
        state,
        xact_start,
        query_start,
        backend_start,
        backend_type,
        query = '<insufficient privilege>' as is_hidden
    from pg_stat_activity
    where datname = current_database()
        and pid <> pg_backend_pid()
        -- Other processes than vacuum have a user, even where the rest is hidden.
        and usesysid is not null
        and (backend_type is null or backend_type <> 'parallel worker')
        -- One that streams changes out of the server reads the log in transactions that
        -- seem as old as the stream; it can write nothing.
        and not coalesce(backend_type = 'walsender' and query ilike 'start\_replication%%', false)
),

locks as (
    select
        pid,
        bool_or(locktype = 'virtualxid') as in_transaction,
        bool_or(locktype = 'advisory') as reads_only
    from pg_locks
    where locktype = 'virtualxid'
        or (
            locktype = 'advisory'
            and database = (select oid from pg_database where datname = current_database())
            and classid = %(reader_tag)s::oid
            and objsubid = 2
            and mode = 'ShareLock'
            and granted
        )
    group by pid
),

seen as (
    select
        pid,
        usesysid,
        usename,
        application_name,
        state,
        case
            when is_hidden then null
            when xact_start is not null then xact_start
            when state <> 'idle' and in_transaction then backend_start
            when state in ('active', 'fastpath function call') and backend_type = 'client backend'
                then query_start
        end as began,
        query_start,
        is_hidden,
        not is_hidden and xact_start is null and in_transaction as untracked
    from sessions
    left join locks using (pid)
    where not (
        coalesce(reads_only, false)
        -- A pooler may hand our session's tag on to another client, never our name.
        and (is_hidden or application_name like 'consumer-analytics %%')
        -- Any login can tag itself; it is believed of those who may run the ETL.
        and has_table_privilege(
            usesysid, (select oid from pg_class where oid = to_regclass('consumer_analytics_internal.job_lock')), 'update'
        )
    )
),

logins as materialized (
    select distinct usesysid as oid
    from seen
    where is_hidden or began is not null
),

writers as materialized (
    select login.oid
    from logins as login
    where {may_write}
)

select
    pid,
    coalesce(usename, '(dropped)') as usename,
    coalesce(application_name, '') as application_name,
    coalesce(state, '') as state,
    began,
    query_start,
    is_hidden,
    coalesce(untracked, false) as untracked,
    coalesce(usename = any (%(ignored_roles)s::text[]), false) as ignored
from seen
where (is_hidden or began is not null)
    and (
        usesysid in (select oid from writers)
        or pid in (
            select pg_locks.pid
            from pg_locks
            join others_tables on others_tables.oid = pg_locks.relation
            where pg_locks.locktype = 'relation'
                and pg_locks.database = (select pg_database.oid from pg_database where datname = current_database())
                and pg_locks.granted
                and pg_locks.mode = 'RowExclusiveLock'
        )
    )
order by began
