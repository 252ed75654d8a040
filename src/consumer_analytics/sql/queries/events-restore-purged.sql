-- Days that the source no longer holds whole: what was counted then still
-- counts. The missing rows are taken to have come first in their day.
insert into consumer_analytics_internal.extracted_events
    (run_id, consumer_id, day, slot, event_type, n)
select
    %(run_id)s,
    known.consumer_id,
    known.day,
    width_bucket(known.day::timestamptz, %(bounds)s::timestamptz[]),
    known.event_type,
    known.n - coalesce(counted.n, 0)
from consumer_analytics_internal.event_days as known
left join (
    select consumer_id, day, event_type, sum(n) as n
    from consumer_analytics_internal.extracted_events
    where run_id = %(run_id)s
    group by consumer_id, day, event_type
) as counted
    on counted.day = known.day
    and counted.event_type = known.event_type
    and counted.consumer_id is not distinct from known.consumer_id
where known.day <= %(purged_through)s::date
    and known.day <@ %(recount)s::datemultirange
    and known.n > coalesce(counted.n, 0)
