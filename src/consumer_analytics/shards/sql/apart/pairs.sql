-- Consumers' rows that any shard was asked for apart, and those that are published.
insert into pg_temp.shard_pairs (consumer_id, snapshot_timestamp)
select consumer_id, snapshot_timestamp
from pg_temp.shard_apart
where consumer_id is not null
union
select one.consumer_id, snapshot_timestamp
from consumer_analytics_internal.written_apart
cross join unnest(consumers) as one (consumer_id)
where snapshot_timestamp = any({instants})
union
select consumer_id, snapshot_timestamp
from public.consumer_analytics
where consumer_id is not null and snapshot_timestamp = any({again})
