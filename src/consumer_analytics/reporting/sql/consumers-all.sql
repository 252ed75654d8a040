-- All consumers that match, sorted, with their figures now and at the earlier instant.
with standing as materialized (
    select
        snapshot.consumer_id,
        known.name::text as name,
        jsonb_path_query_first(snapshot.metrics_json -> 'total_customers', {a_number})::bigint as customers,
        jsonb_path_query_first(snapshot.metrics_json -> 'active_customers', {a_number})::bigint as active,
        jsonb_path_query_first(snapshot.metrics_json -> 'inactive_customers', {a_number})::bigint as inactive,
        jsonb_path_query_first(snapshot.metrics_json -> 'total_events', {a_number})::bigint as events,
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
        jsonb_path_query_first(snapshot.metrics_json -> 'total_customers', {a_number})::bigint as customers,
        jsonb_path_query_first(snapshot.metrics_json -> 'total_events', {a_number})::bigint as events,
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
    earlier.events as events_before,
    earlier.consumer_id is not null as was_there
from standing
left join earlier using (consumer_id)
order by {ranked} {direction} nulls last, consumer_id
