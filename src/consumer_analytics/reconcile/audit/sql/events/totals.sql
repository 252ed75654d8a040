select consumer_id::text, event_type, sum(kept)::bigint, sum(recounted)::bigint
from (
    select consumer_id, event_type, 0 as kept, n as recounted
    from audit_events
    where counted
    union all
    select consumer_id, event_type, n, 0
    from consumer_analytics_internal.event_totals
) as rows
group by consumer_id, event_type
having sum(kept) <> sum(recounted)
order by consumer_id, event_type
