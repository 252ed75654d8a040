-- Days counted again, with what is noted as vanished, against what was known of them: one pass, in
-- which what is as it was takes itself off. Types are looked at only where it does not.
create temporary table differing_events on commit drop as
select
    consumer_id,
    day::date as day,
    {event_type_name} as event_type,
    sum(known)::bigint as known,
    sum(counted)::bigint as counted
from (
    select
        consumer_id,
        day,
        event_type,
        consumer_analytics_internal.total(known) as known,
        consumer_analytics_internal.total(counted) as counted
    from (
        select consumer_id, day, event_type, 0::bigint as known, n as counted
        from ({held}) as held
        union all
        select consumer_id, since::date::timestamptz, event_type, 0, n
        from consumer_analytics_internal.vanished_events
        where since::date <@ %(recount)s::datemultirange
        union all
        select consumer_id, day::timestamptz, event_type, n, 0
        {recounted_days}
    ) as rows
    group by 1, 2, 3
    having consumer_analytics_internal.total(known) <> consumer_analytics_internal.total(counted)
) as unlike
group by 1, 2, 3
having sum(known) <> sum(counted)
