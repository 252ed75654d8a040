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
