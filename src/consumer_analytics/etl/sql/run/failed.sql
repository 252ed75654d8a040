update consumer_analytics_internal.runs
set state = 'failed', finished_at = clock_timestamp(), summary = %(failure)s
where run_key = %(key)s
