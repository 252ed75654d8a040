-- Days that can no longer be recounted: what was counted then still counts.
insert into audit_events (consumer_id, day, slot, event_type, n, counted)
select
    consumer_id,
    day,
    width_bucket(day::timestamptz, %(bounds)s::timestamptz[]),
    event_type,
    sum(known - found),
    true
from (
    select consumer_id, day, event_type, n as known, 0 as found
    from consumer_analytics_internal.event_days
    where day <= %(purged_through)s::date
    union all
    select consumer_id, day, event_type, 0, n
    from audit_events
    where counted and day <= %(purged_through)s::date
) as rows
group by consumer_id, day, event_type
having sum(known) > sum(found)
