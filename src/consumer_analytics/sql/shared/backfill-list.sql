select
    backfill_id,
    start_date,
    end_date,
    period,
    timezone,
    consumers,
    snapshot_source,
    requested_by,
    case
        when state = 'running' and not exists (
            select
            from pg_locks
            where locktype = 'advisory' and classid = %(lock)s::oid and objsubid = 2
                and objid::bigint = backfill_id
                and database = (select oid from pg_database where datname = current_database())
        ) then 'interrupted'
        else state
    end as state,
    periods,
    periods_done,
    snapshots_written,
    snapshots_untouched,
    snapshots_restated,
    started_at,
    finished_at,
    summary
from consumer_analytics_internal.backfills
order by backfill_id desc
limit %(limit)s
