-- Events at or after the start of the window, by slot: what was extracted, and
-- from the days that were not read again what is known of them. Of slot 1 only the
-- number is wanted: by type it is part of the totals.
create temporary table event_slots on commit drop as
select
    consumer_id,
    slot,
    case when slot > 1 then event_type end as event_type,
    consumer_analytics_internal.total(n) as n
from (
    select consumer_id, slot, event_type, n
    from {extracted_events} as extracted
    union all
    select consumer_id, width_bucket(day::timestamptz, %(bounds)s::timestamptz[]), event_type, n
    from consumer_analytics_internal.event_days
    where day >= %(start_day)s::date and not day <@ %(recount)s::datemultirange
) as rows
where slot > 0
group by 1, 2, 3
