select
    consumer_id::text,
    (metrics_json ->> 'total_customers')::bigint as customers,
    (metrics_json ->> 'active_customers')::bigint as active,
    (metrics_json ->> 'total_events')::bigint as events,
    (metrics_json #>> '{{incremental_stats,new_events_in_window}}')::bigint as new_events
from public.consumer_analytics
where snapshot_timestamp = %(at)s::timestamptz and consumer_id is not null
order by events desc, consumer_id
limit %(limit)s
