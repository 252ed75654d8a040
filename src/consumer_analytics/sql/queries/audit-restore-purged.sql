-- Days that can no longer be recounted: what was counted then still counts.
insert into audit_events (consumer_id, day, slot, event_type, n, counted)
select
    known.consumer_id,
    known.day,
    width_bucket(known.day::timestamptz, %(bounds)s::timestamptz[]),
    known.event_type,
    known.n - coalesce(found.n, 0),
    true
from consumer_analytics_internal.event_days as known
left join (
    select consumer_id, day, event_type, sum(n) as n
    from audit_events
    where counted and day <= %(purged_through)s::date
    group by consumer_id, day, event_type
) as found
    on found.day = known.day
        and found.event_type = known.event_type
        and found.consumer_id is not distinct from known.consumer_id
where known.day <= %(purged_through)s::date and known.n > coalesce(found.n, 0)
