-- The engine's own state. Nothing here is an interface.

-- How far the counts below have taken the source in. The watermark says what a
-- run reads; this says what is true, and no one edits it by hand.
create table consumer_analytics_internal.state (
    job_name text primary key references public.etl_job_watermarks,
    processed_through timestamptz not null default '-infinity',
    -- Snapshots after this instant may say less than the counts: restate them.
    restate_after timestamptz,
    -- Grows with every change of the counts: an extract made before is stale.
    version bigint not null default 0
);
insert into consumer_analytics_internal.state (job_name) values ('consumer_analytics_daily');

-- Events before processed_through, by UTC day of created_at.
create table consumer_analytics_internal.event_days (
    day date not null,
    consumer_id uuid,
    event_type text not null,
    n bigint not null,
    unique nulls not distinct (day, consumer_id, event_type)
);

-- The sum of event_days over the days: what keeps a run flat in history.
create table consumer_analytics_internal.event_totals (
    consumer_id uuid,
    event_type text not null,
    n bigint not null,
    unique nulls not distinct (consumer_id, event_type)
) with (fillfactor = 70);

create table consumer_analytics_internal.runs (
    run_id bigint generated always as identity primary key,
    run_key text not null unique,
    snapshot_source text not null,
    state text not null check (state in ('open', 'success', 'failed')),
    -- The instant asked for, and the one reached: less where the run was held back.
    requested_at timestamptz not null,
    reached_at timestamptz not null,
    -- Whether somebody named the instant, so that its snapshot is owed.
    named boolean not null,
    held_back_by jsonb not null default '[]',
    opened_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    summary jsonb not null default '{}'
);
create index runs_opened_at_idx on consumer_analytics_internal.runs (opened_at);

-- Days below processed_through that something has changed: the next run counts
-- them anew and restates what changes.
create table consumer_analytics_internal.touched_days (
    touched_id bigint generated always as identity primary key,
    consumer_id uuid,
    day date not null
);

-- Snapshots asked for that a run was held back from; the next run writes them.
create table consumer_analytics_internal.owed_snapshots (
    snapshot_timestamp timestamptz primary key,
    run_key text not null,
    snapshot_source text not null,
    owed_since timestamptz not null default now()
);

-- Instants before which no transaction was open any more, as each run saw them:
-- the only thing known of when a prepared transaction can have begun.
create table consumer_analytics_internal.transaction_horizons (
    observed_at timestamptz primary key,
    none_open_before timestamptz not null
);

create table consumer_analytics_internal.watermark_changes (
    change_id bigint generated always as identity primary key,
    job_name text not null,
    changed_at timestamptz not null default now(),
    changed_by text not null,
    from_timestamp timestamptz not null,
    to_timestamp timestamptz not null,
    reason text not null
);

-- What the extracts find waits here for the load. Unlogged: a crash of the
-- server empties all three at once, and the load extracts again.
create unlogged table consumer_analytics_internal.extracts (
    run_id bigint not null,
    part text not null check (part in ('customers', 'events')),
    -- What the extract was made for; the load takes it only for the same plan.
    plan jsonb not null,
    figures jsonb not null,
    primary key (run_id, part)
);
create unlogged table consumer_analytics_internal.extracted_events (
    run_id bigint not null,
    consumer_id uuid,
    day date not null,
    slot int not null,
    event_type text not null,
    n bigint not null
);
create index extracted_events_run_idx on consumer_analytics_internal.extracted_events (run_id);
create unlogged table consumer_analytics_internal.extracted_customers (
    run_id bigint not null,
    consumer_id uuid,
    slot int not null,
    status text not null,
    n bigint not null,
    dated bigint not null,
    created_us numeric not null,
    born bigint not null
);
create index extracted_customers_run_idx
    on consumer_analytics_internal.extracted_customers (run_id);
