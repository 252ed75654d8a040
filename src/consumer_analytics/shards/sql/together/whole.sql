-- Those of some instants that have their snapshot here, whether it was written since it was last
-- read, about how many rows it has, and where its window begins.
select
    snapshot_timestamp,
    analytics_id > %(rows)s as is_new,
    coalesce(jsonb_path_query_first(metrics_json -> 'consumers_in_system', {a_number})::bigint, 0) + 1 as rows,
    metrics_json #>> '{{incremental_stats,window_start}}' as window_start
from public.consumer_analytics
where consumer_id is null and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
