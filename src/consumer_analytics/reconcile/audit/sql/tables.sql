-- Where the audit counts: its session's own tables, gone with it.
create temporary table if not exists audit_scopes (
    at timestamptz not null,
    window_start timestamptz,
    snapshot_source text,
    -- Whose rows; NULL: all, and the whole system's.
    consumers uuid[]
);
create temporary table if not exists audit_events (
    consumer_id uuid,
    -- NULL: what had come together where the audit goes on from.
    day date,
    -- The first of the bounds that lies after them.
    place int not null,
    counted boolean not null,
    vanished boolean not null,
    -- Of all types, and of those that have a column.
    events bigint not null
    {typed}
);
create index if not exists audit_events_idx on audit_events (place);
-- Those of them whose types have no column.
create temporary table if not exists audit_rest (
    consumer_id uuid,
    day date,
    place int not null,
    counted boolean not null,
    vanished boolean not null,
    event_type text not null,
    n bigint not null
);
create temporary table if not exists audit_marks (
    customer_id uuid not null,
    at timestamptz not null,
    -- `creation`, `change`, `deletion`; `gone` and `back`: what capture saw of the row.
    kind text not null,
    event_id uuid,
    consumer_id uuid,
    old_status text,
    new_status text,
    status text
);
create index if not exists audit_marks_idx on audit_marks (customer_id, at);
create temporary table if not exists audit_others (
    customer_id uuid not null,
    at timestamptz not null,
    consumer_id uuid
);
create index if not exists audit_others_idx on audit_others (customer_id, at);
create temporary table if not exists audit_wanted (customer_id uuid not null);
-- What the archive's files have: of each day how many rows, and a digest of all; ids of some; rows by
-- the last cut before them; and those that tell of customers.
create temporary table if not exists audit_filed_days (day date not null, n bigint not null, digest numeric not null);
create temporary table if not exists audit_filed_ids (event_id uuid not null);
create temporary table if not exists audit_filed_counts (
    consumer_id uuid,
    since timestamptz not null,
    event_type text,
    n bigint not null
);
create temporary table if not exists audit_filed (
    event_id uuid not null,
    customer_id uuid,
    consumer_id uuid,
    event_type text,
    payload_json text,
    created_at timestamptz not null
);
-- Rows of the archive's days that no file has.
create temporary table if not exists audit_strays (like audit_filed);
-- Customers of whom something is told, and how many of the others were born after the same bound.
create temporary table if not exists audit_eventful (customer_id uuid not null);
create temporary table if not exists audit_uneventful (
    consumer_id uuid,
    status text not null,
    born_place int not null,
    -- Of one of them.
    born timestamptz not null,
    n bigint not null,
    dated bigint not null,
    born_us numeric not null,
    -- Whether a creation event of their consumer tells of them.
    is_told boolean not null
);
create temporary table if not exists audit_lives (
    customer_id uuid not null,
    consumer_id uuid,
    opened_at timestamptz not null,
    -- The end of the life before.
    previous_end timestamptz not null,
    -- NULL: no T is known before which the customer did not exist.
    born timestamptz,
    ended timestamptz not null,
    status text,
    -- What the creation says of the time between birth and it, where no change does.
    creation_at timestamptz,
    creation_status text,
    -- What it was created as, where nothing later tells what it was last.
    created_as text,
    -- What is remembered of what it was last, and up to when events that told it may have vanished.
    remembered_as text,
    lost_until timestamptz,
    -- Whether an event tells of its end.
    has_deletion boolean not null default false
);
-- Of the customers whose status has no column: how many more there are from a place on.
create temporary table if not exists audit_steps (
    consumer_id uuid,
    status text not null,
    -- The first of the bounds at which it holds.
    place int not null,
    n bigint not null
);
-- Births: at the bounds from `born_place` to `end_place` the customer exists.
create temporary table if not exists audit_births (
    consumer_id uuid,
    born_place int not null,
    end_place int not null,
    n bigint not null
);
create index if not exists audit_births_idx on audit_births (born_place);
-- Lives that no creation event tells of.
create temporary table if not exists audit_arrivals (
    consumer_id uuid,
    born timestamptz,
    ended timestamptz not null,
    -- How many of them.
    n bigint not null
);
create temporary table if not exists audit_owners (
    consumer_id uuid primary key,
    since timestamptz not null,
    -- Whether it owns a row of the customers.
    is_present boolean not null
);
-- What changes at a place: so many events and customers more; and of types and statuses without a
-- column how many there are from there on, `null` for none.
create temporary table if not exists audit_changes (
    -- Of all consumers together.
    is_whole boolean not null,
    consumer_id uuid,
    place int not null,
    events bigint not null default 0,
    customers bigint not null default 0,
    dated bigint not null default 0,
    born_us numeric not null default 0,
    undated bigint not null default 0,
    rest_types jsonb,
    rest_statuses jsonb
    {summed}
);
create index if not exists audit_changes_idx on audit_changes (place);
-- What has come together up to a place: where the next turn goes on.
create temporary table if not exists audit_carried (like audit_changes);
create index if not exists audit_carried_idx on audit_carried (place);
create temporary table if not exists audit_figures (
    consumer_id uuid,
    at timestamptz not null,
    -- The document as it must be; NULL where there must be none.
    figures jsonb,
    -- Whether its figures of customers are taken from the row itself.
    is_held boolean not null
);
-- Documents in order, each one's keys over those before it; and sums that stay whole numbers.
create or replace aggregate pg_temp.audit_merged(jsonb) (
    sfunc = jsonb_concat, stype = jsonb, initcond = '{{}}'
);
create or replace aggregate pg_temp.audit_sum(bigint) (
    sfunc = int8pl, stype = bigint, initcond = '0'
)
