delete from consumer_analytics_internal.extracts
where run_id = %(run_id)s and part = %(part)s
