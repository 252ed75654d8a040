update consumer_analytics_internal.runs
set state = 'success', finished_at = clock_timestamp(), summary = %(summary)s
where run_id = %(run_id)s
