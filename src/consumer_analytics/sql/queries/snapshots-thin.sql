-- Remove the snapshots of some instants with all that they said before, and note it.
with removed as (
    delete from public.consumer_analytics as snapshot
    where snapshot.snapshot_timestamp = any(%(instants)s::timestamptz[])
    returning snapshot.snapshot_timestamp, pg_column_size(snapshot.*) as bytes
),

removed_revisions as (
    delete from public.consumer_analytics_revisions as revision
    where revision.snapshot_timestamp = any(%(instants)s::timestamptz[])
    returning revision.snapshot_timestamp, pg_column_size(revision.*) as bytes
),

noted as (
    insert into consumer_analytics_internal.thinned_snapshots (snapshot_timestamp, rows_removed)
    select snapshot_timestamp, count(*)
    from removed
    group by snapshot_timestamp
    on conflict (snapshot_timestamp) do update
    set rows_removed = excluded.rows_removed, thinned_at = excluded.thinned_at
)

select
    (select count(*) from removed),
    (select count(*) from removed_revisions),
    coalesce((select sum(bytes) from removed), 0)::bigint
    + coalesce((select sum(bytes) from removed_revisions), 0)::bigint
