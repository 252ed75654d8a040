-- For whom each shard was asked, in which window; without a consumer: for all.
create temporary table shard_apart (
    shard text not null,
    consumer_id uuid,
    snapshot_timestamp timestamptz not null,
    window_start timestamptz not null
) on commit drop
