-- Instants that wait for a shard from now on, and no others.
with gone as (
    delete from consumer_analytics_internal.shards_awaited
    where snapshot_timestamp <> all(%(snapshots)s::timestamptz[])
)

insert into consumer_analytics_internal.shards_awaited (snapshot_timestamp)
select unnest(%(snapshots)s::timestamptz[])
on conflict do nothing
