-- For whom a shard was asked at some instants, in which window; without a consumer: for all.
select {shard}::text as shard, consumer_id, snapshot_timestamp, window_start
from consumer_analytics_internal.written_apart
cross join unnest(consumers) as one (consumer_id)
where snapshot_timestamp = any({instants})
union all
select {shard}::text, null::uuid, snapshot_timestamp, window_start
from consumer_analytics_internal.written_snapshots
where is_whole and snapshot_timestamp = any({instants})
