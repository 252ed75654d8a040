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
        when state = 'running' and backfill_id not in ({at_work}) then 'interrupted'
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
