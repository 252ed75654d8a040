-- Days since an instant of which the source holds fewer lifecycle events than were counted, and
-- which have not vanished; as a datemultirange. Who were customers as of then follows from them.
-- Days that are archived are nobody's to lose.
select range_agg(daterange(day, day, '[]'))::text
from (
    select day
    from (
        select day, n
        from consumer_analytics_internal.event_days
        where day >= %(first)s::timestamptz::date
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        union all
        select vanished.since::date, -n
        from consumer_analytics_internal.vanished_events as vanished
        where vanished.since >= %(first)s::timestamptz::date::timestamptz
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        union all
        select at::date, -count(*)
        from {lifecycle} as lifecycle
        where at < %(known)s::timestamptz
        group by 1
    ) as counted
    where not exists (
        select from consumer_analytics_internal.archive
        where counted.day < archive.first_day
    )
    group by 1
    having sum(n) > 0
) as lacking
