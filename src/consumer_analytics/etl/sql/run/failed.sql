update consumer_analytics_internal.runs
set state = %(state)s, finished_at = clock_timestamp(), summary = %(failure)s
where run_key = %(key)s
