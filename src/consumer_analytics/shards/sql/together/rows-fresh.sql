-- A shard's rows of instants that are not published yet.
select {shard}::text as shard, consumer_id, snapshot_timestamp, metrics_json
from public.consumer_analytics
where analytics_id > {lower} and snapshot_timestamp = any({fresh})
