-- What the source holds of some days, of what was counted.
select
    consumer_id,
    {event_type_name} as event_type,
    day,
    sum(n)::bigint as n
from (
    select consumer_id, event_type, created_at::timestamptz::date as day, {events_there} as n
    from {customer_events} as customer_events
    where created_at >= lower(%(held_days)s::datemultirange)::timestamptz
        and created_at < case
            when isfinite(upper(%(held_days)s::datemultirange))
                then upper(%(held_days)s::datemultirange)::timestamptz
            else 'infinity'
        end
        and created_at < (
            select processed_through from consumer_analytics_internal.state where job_name = {job}
        )
    group by 1, 2, 3
) as rows
where day <@ %(held_days)s::datemultirange
group by 1, 2, 3
