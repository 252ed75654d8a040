-- Days counted again, with what is noted as vanished, against what was known of them: one pass, in
-- which what is as it was takes itself off. Types are looked at only where it does not: what was known
-- of long ones is under their names already.
create temporary table differing_events on commit drop as
select
    consumer_id,
    day::date as day,
    case when is_named then event_type else {event_type_name} end as event_type,
    sum(known)::bigint as known,
    sum(counted)::bigint as counted
from (
    select
        consumer_id,
        day,
        event_type,
        is_named,
        consumer_analytics_internal.total(known) as known,
        consumer_analytics_internal.total(counted) as counted
    from (
        select consumer_id, day, event_type, false as is_named, 0::bigint as known, n as counted
        from ({held}) as held
        union all
        select consumer_id, since::date::timestamptz, event_type, char_length(event_type) > 200, 0, n
        from consumer_analytics_internal.vanished_events
        where since::date <@ %(recount)s::datemultirange
        union all
        select consumer_id, day::timestamptz, event_type, char_length(event_type) > 200, n, 0
        {recounted_days}
    ) as rows
    group by 1, 2, 3, 4
    having consumer_analytics_internal.total(known) <> consumer_analytics_internal.total(counted)
) as unlike
group by 1, 2, 3
having sum(known) <> sum(counted)
