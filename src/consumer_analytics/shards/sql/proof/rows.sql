-- A shard's rows of some instants.
select {shard}::text, consumer_id, snapshot_timestamp, metrics_json
from public.consumer_analytics
where snapshot_timestamp = any({snapshots})
