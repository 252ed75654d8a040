update consumer_analytics_internal.backfills
set periods_done = periods_done + %(periods)s,
    snapshots_written = snapshots_written + %(written)s,
    snapshots_untouched = snapshots_untouched + %(untouched)s,
    snapshots_restated = snapshots_restated + %(restated)s
where backfill_id = %(id)s
