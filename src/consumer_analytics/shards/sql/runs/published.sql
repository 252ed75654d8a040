delete from consumer_analytics_internal.sharded_runs
where pass_id = %(pass_id)s
