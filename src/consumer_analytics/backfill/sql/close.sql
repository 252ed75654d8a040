update consumer_analytics_internal.backfills
set state = %(state)s, finished_at = clock_timestamp(), summary = %(summary)s
where backfill_id = %(id)s
