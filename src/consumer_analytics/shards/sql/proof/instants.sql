-- Instants that have their snapshot here, about how many rows, and where their window begins.
select
    snapshot_timestamp,
    least(coalesce(jsonb_path_query_first(metrics_json -> 'consumers_in_system', {a_number})::bigint, 0), 1000000)
    + 1,
    metrics_json #>> '{{incremental_stats,window_start}}'
from public.consumer_analytics
where consumer_id is null
    and snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
