-- And of instants that are published those that are asked for.
select {shard}::text as shard, one.consumer_id, one.snapshot_timestamp, one.metrics_json
from pg_temp.shard_pairs as asked
join public.consumer_analytics as one using (consumer_id, snapshot_timestamp)
union all
select {shard}::text, consumer_id, snapshot_timestamp, metrics_json
from public.consumer_analytics
where consumer_id is null and snapshot_timestamp = any({outgrown})
