-- Backfills whose process is gone: nobody holds their lock.
update consumer_analytics_internal.backfills
set state = 'interrupted', finished_at = clock_timestamp(),
    summary = '{{"error_type": "Killed", "error": "its process ended without a word"}}'
where state = 'running' and backfill_id <> all (
    select objid::bigint
    from pg_locks
    where locktype = 'advisory' and classid = %(lock)s::oid and objsubid = 2
        and database = (select oid from pg_database where datname = current_database())
)
