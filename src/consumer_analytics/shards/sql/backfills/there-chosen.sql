-- Of how many of some instants chosen consumers have rows, and how many these are.
select count(distinct snapshot_timestamp), count(*)
from public.consumer_analytics
where consumer_id = any(%(consumers)s::uuid[]) and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
