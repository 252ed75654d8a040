delete from consumer_analytics_internal.{table}
where run_id = any(%(run_ids)s)
