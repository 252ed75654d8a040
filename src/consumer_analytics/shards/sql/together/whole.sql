-- Those of some instants that have their snapshot here, whether it was written since it was last
-- read, about how many rows it has, and where its window begins.
select
    snapshot_timestamp,
    analytics_id > %(rows)s as is_new,
    case
        when jsonb_typeof(metrics_json -> 'consumers_in_system') = 'number'
            then (metrics_json ->> 'consumers_in_system')::numeric::bigint
        else 0
    end + 1 as rows,
    metrics_json #>> '{{incremental_stats,window_start}}' as window_start
from public.consumer_analytics
where consumer_id is null and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
