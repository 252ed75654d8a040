-- All consumers that match, sorted, with their figures now and at the earlier instant.
with standing as materialized (
    select
        snapshot.consumer_id,
        known.name::text as name,
        (snapshot.metrics_json ->> 'total_customers')::bigint as customers,
        (snapshot.metrics_json ->> 'active_customers')::bigint as active,
        (snapshot.metrics_json ->> 'inactive_customers')::bigint as inactive,
        (snapshot.metrics_json ->> 'total_events')::bigint as events,
        {figure} as figure
    from public.consumer_analytics as snapshot
    left join {consumers} as known on known.consumer_id = snapshot.consumer_id
    where snapshot.snapshot_timestamp = %(at)s
        and snapshot.consumer_id is not null
        and (%(only)s::uuid[] is null or snapshot.consumer_id = any (%(only)s))
        and {found}
),

earlier as materialized (
    select
        snapshot.consumer_id,
        (snapshot.metrics_json ->> 'total_customers')::bigint as customers,
        (snapshot.metrics_json ->> 'total_events')::bigint as events,
        {figure} as figure
    from public.consumer_analytics as snapshot
    left join {consumers} as known on known.consumer_id = snapshot.consumer_id
    where snapshot.snapshot_timestamp = %(before)s and snapshot.consumer_id is not null
)

select
    consumer_id,
    standing.name,
    standing.customers,
    standing.active,
    standing.inactive,
    standing.events,
    earlier.customers as customers_before,
    earlier.events as events_before
from standing
left join earlier using (consumer_id)
order by {ranked} {direction} nulls last, consumer_id
