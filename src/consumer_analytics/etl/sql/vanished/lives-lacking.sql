-- Days since an instant of which the source holds fewer lifecycle events than were counted, and
-- which have not vanished; as a datemultirange. Who were customers as of then follows from them.
-- Days that are archived are nobody's to lose: what was counted of them is not even read.
with own as materialized (
    select greatest(%(first)s::timestamptz::date, max(first_day)) as first_day
    from consumer_analytics_internal.archive
)

select range_agg(daterange(day, day, '[]'))::text
from (
    select day
    from (
        select day, sum(n) as n
        from consumer_analytics_internal.event_days
        where day >= (select first_day from own)
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        group by 1
        union all
        select vanished.since::date, -n
        from consumer_analytics_internal.vanished_events as vanished
        where vanished.since >= (select first_day from own)::timestamptz
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        union all
        select at::date, -count(*)
        from {lifecycle} as lifecycle
        where at < %(known)s::timestamptz and at >= (select first_day from own)::timestamptz
        group by 1
    ) as counted
    where not day <@ %(corrected)s::datemultirange
    group by 1
    having sum(n) > 0
) as lacking
