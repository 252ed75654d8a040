-- What the shards hand over. Rows to be looked at of instants that are published are pairs.
create temporary table shard_rows (
    shard text not null,
    consumer_id uuid,
    snapshot_timestamp timestamptz not null,
    metrics_json jsonb not null
) on commit drop;
create temporary table shard_pairs (
    consumer_id uuid not null,
    snapshot_timestamp timestamptz not null
) on commit drop;
create temporary table shard_lifetimes (
    consumer_id uuid not null,
    snapshot_timestamp timestamptz not null,
    customers bigint not null,
    dated bigint not null,
    created_us numeric not null
) on commit drop
