-- The consumers with the most events at an instant. Each is looked up by the index, which
-- has the consumer first: what there is of other instants is not read.
with known as (
    select consumer_id, name::text as name
    from {consumers} as consumers
    union all
    select distinct consumer_id, null
    from consumer_analytics_internal.event_totals as counted
    where consumer_id is not null
        and not exists (
            select
            from {consumers} as registered
            where registered.consumer_id = counted.consumer_id
        )
)

select
    known.consumer_id::text,
    coalesce(known.name, '') as name,
    jsonb_path_query_first(metrics_json -> 'total_customers', {a_number})::float8 as customers,
    jsonb_path_query_first(metrics_json -> 'active_customers', {a_number})::float8 as active_customers,
    jsonb_path_query_first(metrics_json -> 'total_events', {a_number})::float8 as events
from known
cross join lateral (
    select metrics_json
    from public.consumer_analytics as snapshot
    where snapshot.consumer_id = known.consumer_id
        and snapshot.snapshot_timestamp = %(at)s::timestamptz
    -- Keeps the planner, who cannot know of the newest instant, from another order.
    offset 0
) as snapshot
order by events desc nulls last, known.consumer_id
limit %(limit)s
