-- What maintenance removed, and which snapshots it was.

-- Instants whose snapshots were thinned on purpose: no audit misses them, and the
-- window of the snapshot after them still begins at them.
create table consumer_analytics_internal.thinned_snapshots (
    snapshot_timestamp timestamptz primary key,
    rows_removed bigint not null,
    thinned_at timestamptz not null default now()
);

create table consumer_analytics_internal.maintenance (
    maintenance_id bigint generated always as identity primary key,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    requested_by text not null,
    -- What each part removed, and how much room that made.
    parts jsonb not null default '[]'
);

-- Revisions are kept from whoever runs the ETL: it may add some and remove none.
-- Those of a snapshot that was thinned go with it; this removes no others.
create function consumer_analytics_internal.forget_thinned_revisions(
    instants timestamptz[], out removed bigint, out bytes bigint
)
language sql security definer
set search_path = pg_catalog, pg_temp
begin atomic
    with gone as (
        delete from public.consumer_analytics_revisions as revision
        where revision.snapshot_timestamp = any (instants)
            and exists (
                select from consumer_analytics_internal.thinned_snapshots as thinned
                where thinned.snapshot_timestamp = revision.snapshot_timestamp
            )
            and not exists (
                select from public.consumer_analytics as snapshot
                where snapshot.consumer_id is null
                    and snapshot.snapshot_timestamp = revision.snapshot_timestamp
            )
        returning pg_column_size(revision.*) as bytes
    )

    select count(*), coalesce(sum(gone.bytes), 0)::bigint
    from gone;
end;
revoke all on function consumer_analytics_internal.forget_thinned_revisions(timestamptz[]) from public;
