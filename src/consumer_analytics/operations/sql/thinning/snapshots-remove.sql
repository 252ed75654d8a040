-- Remove the snapshots of some instants, and note it: they are no more among what was written.
with removed as (
    delete from public.consumer_analytics as snapshot
    where snapshot.snapshot_timestamp = any(%(instants)s::timestamptz[])
    returning snapshot.snapshot_timestamp, pg_column_size(snapshot.*) as bytes
),

forgotten as (
    delete from consumer_analytics_internal.written_snapshots
    where snapshot_timestamp = any(%(instants)s::timestamptz[])
),

forgotten_apart as (
    delete from consumer_analytics_internal.written_apart
    where snapshot_timestamp = any(%(instants)s::timestamptz[])
    returning snapshot_timestamp
),

noted as (
    insert into consumer_analytics_internal.thinned_snapshots (snapshot_timestamp, rows_removed)
    select snapshot_timestamp, sum(n)
    from (
        select snapshot_timestamp, 1 as n
        from removed
        union all
        -- A shard notes for whom it was asked, also where there was nothing to write.
        select snapshot_timestamp, 0 as n
        from forgotten_apart
    ) as rows
    group by snapshot_timestamp
    on conflict (snapshot_timestamp) do update
    set rows_removed = excluded.rows_removed, thinned_at = excluded.thinned_at
)

select count(*), coalesce(sum(bytes), 0)::bigint
from removed
