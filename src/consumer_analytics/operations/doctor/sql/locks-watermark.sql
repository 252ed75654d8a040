-- Whether a session has written to the watermark's table and not committed.
select exists (
    select from pg_locks
    where pid = %(pid)s
        and locktype = 'relation'
        and database = (select oid from pg_database where datname = current_database())
        and relation = to_regclass('public.etl_job_watermarks')
        and mode in ('RowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
)
