-- What had come together at the instant that the audit goes on from, as its snapshot tells, which
-- has been found right: events by type, and who had a row.
with known as materialized (
    select
        consumer_id,
        coalesce(metrics_json -> 'total_events', metrics_json -> 'unattributed_events')::bigint as events,
        metrics_json -> 'events_by_type' as by_type
    from public.consumer_analytics
    where snapshot_timestamp = %(base)s::timestamptz
),

owners as (
    insert into audit_owners as known_since (consumer_id, since, is_present)
    select consumer_id, %(base)s::timestamptz, false
    from known
    where consumer_id is not null
    on conflict (consumer_id) do update set since = least(known_since.since, excluded.since)
),

rest as (
    insert into audit_rest (consumer_id, day, place, counted, vanished, event_type, n)
    select consumer_id, null, 1, true, false, key, value::bigint
    from known
    cross join lateral jsonb_each(by_type)
    where consumer_id is not null and key <> all(%(types)s::text[])
)

insert into audit_events (consumer_id, day, place, counted, vanished, events {columns})
select consumer_id, null, 1, true, false, events {named}
from known
