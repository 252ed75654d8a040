-- In which windows a shard was asked for consumers; without one: for all.
select {shard}::text, chosen, snapshot_timestamp, window_start
from consumer_analytics_internal.written_apart, unnest(consumers) as chosen
where snapshot_timestamp = any({snapshots})
union all
select {shard}::text, null, snapshot_timestamp, window_start
from consumer_analytics_internal.written_snapshots
where snapshot_timestamp = any({snapshots}) and is_whole
