-- What the files have, read again: rows by consumer, type and the beginning of their day, and
-- lifecycle events.
create temporary table archived_anew (
    consumer_id uuid,
    since timestamptz not null,
    event_type text,
    n bigint not null
) on commit drop;
create temporary table archived_told (like consumer_analytics_internal.archived_events) on commit drop
