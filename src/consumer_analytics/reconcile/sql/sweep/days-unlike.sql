-- Days of which other events are held than were counted, as far as sums of hashes tell: so many groups are
-- not put together where all is as it was. Names of types that do not begin like one are worked out here;
-- days with such as are too long to be counted under their own seem to differ, and are counted.
select distinct greatest(day::date, '0001-01-01') as day, greatest(day::date, '0001-01-01') + 1 as after
from (
    select day
    from (
        select day, digest
        from (
            select day, sum({event_digest}) as digest
            from (
                select
                    consumer_id,
                    day,
                    case when event_type collate "C" >= '!' then event_type else {event_type_name} end as event_type
                from ({held}) as held
            ) as named
            group by day
        ) as source
        union all
        select since::date::timestamptz, n * {event_digest}::numeric
        from consumer_analytics_internal.vanished_events
        where since::date <@ %(recount)s::datemultirange
        union all
        select day::timestamptz, digest
        from (
            select day, -sum(n * {event_digest}::numeric) as digest
            from consumer_analytics_internal.event_days
            where day >= lower(%(recount)s::datemultirange) and day < upper(%(recount)s::datemultirange)
            group by day
            -- Chosen after: of days in a multirange the planner expects a few.
            offset 0
        ) as known
        where day <@ %(recount)s::datemultirange
    ) as sides
    group by day
    having sum(digest) <> 0
) as unlike
order by day
