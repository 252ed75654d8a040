select
    snapshot.consumer_id::text,
    known.name::text,
    (metrics_json ->> 'total_customers')::bigint as customers,
    (metrics_json ->> 'active_customers')::bigint as active,
    (metrics_json ->> 'total_events')::bigint as events,
    (metrics_json #>> '{{incremental_stats,new_events_in_window}}')::bigint as new_events
from public.consumer_analytics as snapshot
left join {consumers} as known on known.consumer_id = snapshot.consumer_id
where snapshot_timestamp = %(at)s::timestamptz and snapshot.consumer_id is not null
order by events desc, snapshot.consumer_id
limit %(limit)s
