-- The pairs that are asked for, in a shard; of instants that were put together before, others.
drop table if exists pg_temp.shard_pairs;
create temporary table shard_pairs (
    consumer_id uuid not null,
    snapshot_timestamp timestamptz not null
) on commit drop
