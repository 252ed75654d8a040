-- Days of which other events are held than were counted, as far as sums of hashes tell: so many groups are
-- not put together where all is as it was. Days with types too long to be counted under their own names
-- seem to differ, and are counted.
with held as materialized (
    select day, sum(digest) as digest
    from ({digests}) as parts
    group by day
)

select distinct greatest(day::date, '0001-01-01') as day, greatest(day::date, '0001-01-01') + 1 as after
from (
    select day
    from (
        select day, digest
        from held
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
