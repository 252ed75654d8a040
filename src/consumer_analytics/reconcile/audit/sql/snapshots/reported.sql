-- Rows whose figures of customers may have to be taken on trust, and what they say.
select distinct on (doubtful.consumer_id, doubtful.at)
    doubtful.consumer_id,
    doubtful.at,
    kept.analytics_id,
    kept.created_at as reported_at,
    of_status.by_status,
    of_status.total,
    case jsonb_typeof(metrics_json -> 'avg_customer_lifetime_days')
        -- With its two decimals, where it has no others.
        when 'number' then (
            select case when mean = round(mean, 2) then to_jsonb(round(mean, 2)) else to_jsonb(mean) end
            from (select (metrics_json -> 'avg_customer_lifetime_days')::numeric as mean) as said
        )
        when 'null' then 'null'
    end as lifetime,
    case
        when jsonb_typeof(stats -> 'new_customers_in_window') = 'number'
            then trim_scale((stats -> 'new_customers_in_window')::numeric)
    end as new_customers,
    case
        when jsonb_typeof(stats -> 'new_events_in_window') = 'number'
            then trim_scale((stats -> 'new_events_in_window')::numeric)
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
        coalesce(jsonb_object_agg(key, trim_scale(value::numeric)), '{{}}') as by_status,
        coalesce(trim_scale(sum(value::numeric)), 0) as total
    from jsonb_each(told.by_status)
    where jsonb_typeof(value) = 'number'
) as of_status
-- One may be there twice.
order by doubtful.consumer_id, doubtful.at, kept.analytics_id
