-- Events that were counted, and that the source no longer holds, though nobody corrected them:
-- purged. They stay in event_days and event_totals: counted = source + vanished.
create table consumer_analytics_internal.vanished_events (
    consumer_id uuid,
    event_type text not null,
    -- A stretch between neighbouring UTC midnights and reported instants.
    since timestamptz not null,
    until timestamptz not null,
    n bigint not null check (n > 0),
    noted_at timestamptz not null default clock_timestamp(),
    -- What noted it: run, sweep, backfill, audit, reset ..., with its key.
    noted_by text not null,
    unique nulls not distinct (consumer_id, event_type, since, until),
    check (since < until)
);
create index vanished_events_until_idx on consumer_analytics_internal.vanished_events (until);
