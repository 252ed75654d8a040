select count(*)
from public.consumer_analytics
where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
