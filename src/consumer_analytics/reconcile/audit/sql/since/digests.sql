-- Of each instant: a digest of its rows.
select
    snapshot_timestamp,
    sum(jsonb_hash_extended(metrics_json, coalesce(uuid_hash_extended(consumer_id, 0), 1)))
from public.consumer_analytics
group by snapshot_timestamp
