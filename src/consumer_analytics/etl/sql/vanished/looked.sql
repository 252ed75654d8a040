-- What was counted before this instant, and is gone, is noted.
update consumer_analytics_internal.state
set oldest_seen = %(gone_before)s::timestamptz
where job_name = {job}
