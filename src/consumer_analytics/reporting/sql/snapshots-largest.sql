select
    consumer_id::text,
    jsonb_path_query_first(metrics_json -> 'total_customers', {a_number})::bigint as customers,
    jsonb_path_query_first(metrics_json -> 'active_customers', {a_number})::bigint as active,
    jsonb_path_query_first(metrics_json -> 'total_events', {a_number})::bigint as events,
    jsonb_path_query_first(metrics_json #> '{{incremental_stats,new_events_in_window}}', {a_number})::bigint as new_events
from public.consumer_analytics
where snapshot_timestamp = %(at)s::timestamptz and consumer_id is not null
order by events desc nulls last, consumer_id
limit %(limit)s
