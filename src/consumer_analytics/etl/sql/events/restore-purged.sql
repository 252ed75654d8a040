-- Days that the source no longer holds whole: what was counted then still
-- counts. The missing rows are taken to have come first in their day.
insert into pg_temp.extracted_events
    ({event_columns})
select
    consumer_id,
    day,
    width_bucket(day::timestamptz, %(bounds)s::timestamptz[]),
    event_type,
    sum(known - found)
from (
    select consumer_id, day, event_type, n as known, 0 as found
    from consumer_analytics_internal.event_days
    where day <= %(purged_through)s::date and day <@ %(recount)s::datemultirange
    union all
    select consumer_id, day, event_type, 0, n
    from pg_temp.extracted_events
    where day <= %(purged_through)s::date
) as rows
group by consumer_id, day, event_type
having sum(known) > sum(found)
