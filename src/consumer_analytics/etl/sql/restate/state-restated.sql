-- As far as snapshots have been looked at again; all of them where it is null.
update consumer_analytics_internal.state
set restate_after = %(after)s
where job_name = {job}
