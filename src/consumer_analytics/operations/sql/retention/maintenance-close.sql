update consumer_analytics_internal.maintenance
set finished_at = clock_timestamp(), parts = %(parts)s
where maintenance_id = %(id)s
