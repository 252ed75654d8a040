-- Where the counts by day are not the events that must have been counted. Days are compared by
-- their columns, and those that differ are taken apart.
with differing as materialized (
    select consumer_id, day
    from (
        select consumer_id, day, events {columns}
        from audit_events
        where counted
        union all
        select consumer_id, day, -n {kept}
        from consumer_analytics_internal.event_days
    ) as rows
    where day >= %(from_day)s::date and day <= %(to_day)s::date
    group by consumer_id, day
    having pg_temp.audit_sum(events) <> 0 {unequal}
    union
    select consumer_id, day
    from (
        select consumer_id, event_type, day, n
        from audit_rest
        where counted
        union all
        select consumer_id, event_type, day, -n
        from consumer_analytics_internal.event_days
        where event_type <> all(%(types)s::text[])
    ) as rows
    where day >= %(from_day)s::date and day <= %(to_day)s::date
    group by consumer_id, event_type, day
    having pg_temp.audit_sum(n) <> 0
)

select consumer_id::text, event_type, day::text, sum(kept)::bigint, sum(recounted)::bigint
from (
    select consumer_id, of_type.event_type, day, 0 as kept, of_type.n as recounted
    from audit_events
    cross join lateral unnest(%(types)s::text[], {named}) as of_type (event_type, n)
    where counted and of_type.n <> 0
    union all
    select consumer_id, event_type, day, 0, n
    from audit_rest
    where counted
    union all
    select consumer_id, event_type, day, n, 0
    from consumer_analytics_internal.event_days
) as rows
where exists (
    select
    from differing
    where differing.day = rows.day and differing.consumer_id is not distinct from rows.consumer_id
)
group by consumer_id, event_type, day
having sum(kept) <> sum(recounted)
order by day, consumer_id, event_type
