-- Instants that have their snapshot here, about how many rows, and where their window begins.
select
    snapshot_timestamp,
    case
        when jsonb_typeof(metrics_json -> 'consumers_in_system') = 'number'
            then least((metrics_json -> 'consumers_in_system')::text::numeric, 1000000)::int
        else 0
    end + 1,
    metrics_json #>> '{{incremental_stats,window_start}}'
from public.consumer_analytics
where consumer_id is null
    and snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
