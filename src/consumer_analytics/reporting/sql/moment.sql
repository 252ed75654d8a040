-- The figures of this moment, the whole system's first; of some consumers alone where they are named.
select consumer_id, snapshot_timestamp, settled_to, unsettled_because, metrics_json
from public.consumer_analytics_now
where %(only)s::uuid[] is null or consumer_id = any(%(only)s)
order by consumer_id nulls first
