-- Backfills whose process is gone: no session has their tag.
update consumer_analytics_internal.backfills
set state = 'interrupted', finished_at = clock_timestamp(),
    summary = '{{"error_type": "Killed", "error": "its process ended without a word"}}'
where state = 'running' and backfill_id not in ({at_work})
