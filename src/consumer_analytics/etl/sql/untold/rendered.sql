-- The snapshots that what waits to be told concerns, as they are to be written.
select
    consumer_id,
    snapshot_timestamp,
    metrics_json || jsonb_build_object(
        total_key, total,
        types_key, coalesce(by_type, '{{}}'),
        'incremental_stats', metrics_json -> 'incremental_stats' || jsonb_build_object(
            'new_events_in_window', (metrics_json #>> '{{incremental_stats,new_events_in_window}}')::bigint + fresh
        )
    ) as metrics_json
from pg_temp.untold_rows
where is_sure
