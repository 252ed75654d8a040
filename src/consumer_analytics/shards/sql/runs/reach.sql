-- Up to where all shards were counted.
update consumer_analytics_internal.state
set processed_through = %(until)s, version = version + 1
where job_name = {job} and processed_through < %(until)s::timestamptz
