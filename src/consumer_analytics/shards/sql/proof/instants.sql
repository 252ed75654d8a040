-- Instants that have their snapshot here, and about how many rows.
select
    snapshot_timestamp,
    case
        when jsonb_typeof(metrics_json -> 'consumers_in_system') = 'number'
            then least((metrics_json -> 'consumers_in_system')::text::numeric, 1000000)::int
        else 0
    end + 1
from public.consumer_analytics
where consumer_id is null
    and snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
