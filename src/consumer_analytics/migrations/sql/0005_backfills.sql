-- Every backfill that was asked for: what, by whom, how far it came.
create table consumer_analytics_internal.backfills (
    backfill_id bigint generated always as identity primary key,
    start_date date not null,
    end_date date not null,
    period text not null check (period in ('daily', 'weekly')),
    timezone text not null,
    -- NULL: all consumers and the whole system.
    consumers uuid[],
    snapshot_source text not null,
    requested_by text not null,
    -- `running` with no session that holds its lock was killed.
    state text not null default 'running' check (state in ('running', 'done', 'failed', 'interrupted')),
    periods int not null,
    periods_done int not null default 0,
    snapshots_written bigint not null default 0,
    snapshots_untouched bigint not null default 0,
    snapshots_restated bigint not null default 0,
    -- Counts that it read have changed since, from this instant on.
    changed_after timestamptz,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    summary jsonb not null default '{}'
);
create index backfills_running_idx on consumer_analytics_internal.backfills (backfill_id)
    where state = 'running';
