-- Days that are read from the source, and of which it holds less than was counted and has not
-- vanished; as a datemultirange.
select range_agg(daterange(day, day, '[]'))::text
from (
    select day
    from (
        select day, n
        from (
            select day, sum(n) as n
            from consumer_analytics_internal.event_days
            where day >= lower(%(cut)s::datemultirange) and day < upper(%(cut)s::datemultirange)
            group by 1
            -- Chosen after: of days in a multirange the planner expects a few, which it would sort.
            offset 0
        ) as known
        where day <@ %(cut)s::datemultirange
        union all
        select since::date, -n
        from consumer_analytics_internal.vanished_events
        where since::date <@ %(cut)s::datemultirange
        union all
        select day, -n
        from (
            select created_at::timestamptz::date as day, {events_there} as n
            from {customer_events} as customer_events
            where created_at >= lower(%(cut)s::datemultirange)::timestamptz
                and created_at < upper(%(cut)s::datemultirange)::timestamptz
                and created_at < %(known)s::timestamptz
            group by 1
        ) as held
        where day <@ %(cut)s::datemultirange
    ) as counts
    group by 1
    having sum(n) > 0
) as lacking
