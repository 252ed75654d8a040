-- And those that were counted once and have vanished since. No bound lies within a stretch, but
-- for instants that are not compared.
insert into audit_events (consumer_id, day, place, event_type, n, counted, vanished)
select
    consumer_id,
    since::date,
    width_bucket(since, %(bounds)s::timestamptz[]) + 1,
    event_type,
    n,
    since < %(processed_through)s::timestamptz,
    true
from consumer_analytics_internal.vanished_events
where since < %(until)s::timestamptz
