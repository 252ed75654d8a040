select consumer_id::text, event_type, sum(kept)::bigint, sum(recounted)::bigint
from (
    select consumer_id, of_type.event_type, 0 as kept, of_type.n as recounted
    from (
        select consumer_id {summed}
        from audit_events
        where counted
        group by consumer_id
    ) as sums
    cross join lateral unnest(%(types)s::text[], {named}) as of_type (event_type, n)
    where of_type.n <> 0
    union all
    select consumer_id, event_type, 0, n
    from audit_rest
    where counted
    union all
    select consumer_id, event_type, n, 0
    from consumer_analytics_internal.event_totals
) as rows
where {which}
group by consumer_id, event_type
having sum(kept) <> sum(recounted)
order by consumer_id, event_type
