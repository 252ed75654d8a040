-- Days that are counted again, beside what was counted of them and what is noted as vanished:
-- where something is missing, or rows have come to where some had vanished. `is_whole`: the day
-- has no fewer rows than were counted, so that its differences are changes. `owner` is the
-- consumer as text, which joins where there is none.
create temporary table event_differences on commit drop as
with kinds as materialized (
    select
        consumer_id,
        event_type,
        day,
        consumer_analytics_internal.total(counted) as counted,
        consumer_analytics_internal.total(noted) as noted,
        consumer_analytics_internal.total(held) as held
    from (
        select consumer_id, event_type, day, n as counted, 0::bigint as noted, 0::bigint as held
        {recounted_days}
        union all
        select consumer_id, event_type, since::date, 0, n, 0
        from consumer_analytics_internal.vanished_events
        where since::date <@ %(recount)s::datemultirange
        union all
        select consumer_id, event_type, day, 0, 0, n
        from ({held}) as held
    ) as rows
    group by consumer_id, event_type, day
)

select
    coalesce(consumer_id::text, '') as owner,
    consumer_id,
    event_type,
    day,
    counted - noted - held as missing,
    days.is_whole
from kinds
join (
    select day, sum(counted) <= sum(noted + held) as is_whole
    from kinds
    group by day
) as days using (day)
where counted > noted + held or (noted > 0 and counted < noted + held)
