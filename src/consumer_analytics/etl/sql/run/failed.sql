update consumer_analytics_internal.runs
set state = 'failed', finished_at = clock_timestamp(), summary = %(told)s
where run_key = %(key)s
