-- What users read: the snapshots, their revisions, and the watermark.
create table public.consumer_analytics (
    analytics_id bigint generated always as identity primary key,
    consumer_id uuid,
    snapshot_timestamp timestamptz not null,
    metrics_json jsonb not null,
    created_at timestamptz not null default now(),
    constraint consumer_analytics_once unique nulls not distinct (consumer_id, snapshot_timestamp)
);
comment on table public.consumer_analytics is
    'One row per consumer per snapshot; consumer_id NULL is the whole system.';

-- What a snapshot said before it was restated.
create table public.consumer_analytics_revisions (
    revision_id bigint generated always as identity primary key,
    analytics_id bigint not null,
    consumer_id uuid,
    snapshot_timestamp timestamptz not null,
    metrics_json jsonb not null,
    reported_from timestamptz not null,
    reported_until timestamptz not null default now(),
    reason text not null
);
create index consumer_analytics_revisions_snapshot_idx
    on public.consumer_analytics_revisions (analytics_id, reported_until);
comment on table public.consumer_analytics_revisions is
    'metrics_json as it was reported from reported_from until reported_until, before it was restated.';

create table public.etl_job_watermarks (
    job_name text primary key,
    last_processed_timestamp timestamptz not null,
    last_run_at timestamptz,
    last_run_status text not null
        check (last_run_status in ('pending', 'running', 'success', 'failed')),
    records_processed bigint not null default 0,
    metadata_json jsonb not null default '{}'
);
comment on column public.etl_job_watermarks.last_processed_timestamp is
    'Exclusive upper bound of what has been processed.';
insert into public.etl_job_watermarks (job_name, last_processed_timestamp, last_run_status)
values ('consumer_analytics_daily', '1970-01-01 00:00:00+00', 'pending');
