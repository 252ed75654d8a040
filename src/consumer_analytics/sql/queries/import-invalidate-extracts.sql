-- An extract made before these rows is stale. The row stays locked until they
-- are committed, so that no run moves processed_through in between.
update consumer_analytics_internal.state
set version = version + 1
where job_name = %(job)s
returning processed_through
