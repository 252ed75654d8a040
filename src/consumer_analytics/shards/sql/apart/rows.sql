-- A shard's rows of what is asked for.
select {shard}::text as shard, one.consumer_id, one.snapshot_timestamp, one.metrics_json
from pg_temp.shard_pairs as asked
join public.consumer_analytics as one using (consumer_id, snapshot_timestamp)
