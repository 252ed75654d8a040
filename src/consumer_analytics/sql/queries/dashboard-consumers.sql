-- The consumers at an instant, searched and sorted. What is joined brings the earlier
-- snapshot's figures where they are sorted by, or every row is wanted.
select
    found.consumer_id,
    found.name,
    found.customers,
    found.active,
    found.inactive,
    found.events,
    customers_before,
    events_before,
    count(*) over () as matching
from (
    select
        snapshot.consumer_id,
        known.name::text as name,
        (snapshot.metrics_json ->> 'total_customers')::bigint as customers,
        (snapshot.metrics_json ->> 'active_customers')::bigint as active,
        (snapshot.metrics_json ->> 'inactive_customers')::bigint as inactive,
        (snapshot.metrics_json ->> 'total_events')::bigint as events
    from public.consumer_analytics as snapshot
    left join {consumers} as known on known.consumer_id = snapshot.consumer_id
    where snapshot.snapshot_timestamp = %(at)s
        and snapshot.consumer_id is not null
        and (%(only)s::uuid[] is null or snapshot.consumer_id = any (%(only)s))
        and (
            %(pattern)s::text is null
            or known.name::text ilike %(pattern)s
            or snapshot.consumer_id::text ilike %(pattern)s
        )
) as found
{compared}
order by {order} {direction} nulls last, found.consumer_id
limit %(size)s
offset %(offset)s
