-- Rows whose figures of customers may have to be taken on trust, and what they say.
select distinct on (doubtful.consumer_id, doubtful.at)
    doubtful.consumer_id,
    doubtful.at,
    of_status.by_status,
    of_status.total,
    case
        when jsonb_typeof(metrics_json -> 'avg_customer_lifetime_days') in ('number', 'null')
            then metrics_json -> 'avg_customer_lifetime_days'
    end as lifetime,
    case
        when jsonb_typeof(stats -> 'new_customers_in_window') = 'number'
            then (stats -> 'new_customers_in_window')::numeric
    end as new_customers,
    case
        when jsonb_typeof(stats -> 'new_events_in_window') = 'number'
            then (stats -> 'new_events_in_window')::numeric
    end as new_events,
    case
        when jsonb_typeof(metrics_json -> 'events_by_type' -> {customer_deletion}) = 'number'
            then (metrics_json -> 'events_by_type' -> {customer_deletion})::numeric
        else 0
    end as deletions,
    case
        when jsonb_typeof(metrics_json -> 'events_by_type' -> {customer_creation}) = 'number'
            then (metrics_json -> 'events_by_type' -> {customer_creation})::numeric
        else 0
    end as creations
from doubtful
join kept on kept.at = doubtful.at and kept.consumer_id = doubtful.consumer_id
cross join lateral (
    select
        case
            when jsonb_typeof(metrics_json -> 'customers_by_status') = 'object'
                then metrics_json -> 'customers_by_status'
            else '{{}}'
        end as by_status,
        metrics_json -> 'incremental_stats' as stats
) as told
cross join lateral (
    select
        coalesce(jsonb_object_agg(key, value), '{{}}') as by_status,
        coalesce(sum(value::numeric), 0) as total
    from jsonb_each(told.by_status)
    where jsonb_typeof(value) = 'number'
) as of_status
-- One may be there twice.
order by doubtful.consumer_id, doubtful.at, kept.analytics_id
