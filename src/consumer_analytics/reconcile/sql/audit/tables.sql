-- Where the audit counts: its session's own tables, gone with it.
create temporary table if not exists audit_events (
    consumer_id uuid,
    day date not null,
    slot int not null,
    event_type text not null,
    n bigint not null,
    counted boolean not null
);
create temporary table if not exists audit_figures (
    consumer_id uuid,
    snapshot_timestamp timestamptz not null,
    figures jsonb not null
)
