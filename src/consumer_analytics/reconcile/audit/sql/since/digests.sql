-- Of each instant: a digest of its rows, as they are written: to a hash of jsonb 2.0 is 2.
select
    snapshot_timestamp,
    sum(hashtextextended(metrics_json::text, coalesce(uuid_hash_extended(consumer_id, 0), 1)))
from public.consumer_analytics
group by snapshot_timestamp
