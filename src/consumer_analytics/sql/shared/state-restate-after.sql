-- Snapshots after this instant are to be looked at again: the counts have outgrown them.
update consumer_analytics_internal.state
set restate_after = least(restate_after, %(after)s::timestamptz)
where job_name = {job} and (restate_after > %(after)s::timestamptz) is not false
