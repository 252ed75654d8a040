-- Extracts made before what this transaction does are stale. The row stays locked until
-- its end, so that no run moves processed_through in between.
update consumer_analytics_internal.state
set version = version + 1
where job_name = {job}
returning processed_through
