select consumer_id::text, event_type, day::text, sum(kept)::bigint, sum(recounted)::bigint
from (
    select consumer_id, event_type, day, 0 as kept, n as recounted
    from audit_events
    where counted
    union all
    select consumer_id, event_type, day, n, 0
    from consumer_analytics_internal.event_days
) as rows
where day >= %(from_day)s::date and day <= %(to_day)s::date
group by consumer_id, event_type, day
having sum(kept) <> sum(recounted)
order by day, consumer_id, event_type
