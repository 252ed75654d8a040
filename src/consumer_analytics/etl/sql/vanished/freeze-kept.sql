-- A consumer that was reported with customers, and for which nothing speaks any more, keeps its row.
with {frozen}

insert into rendered_snapshots (consumer_id, snapshot_timestamp, metrics_json)
select
    old.consumer_id,
    old.snapshot_timestamp,
    old.metrics_json || jsonb_build_object(
        'total_events', 0,
        'events_by_type', '{{}}'::jsonb,
        'incremental_stats', (old.metrics_json -> 'incremental_stats') || '{{"new_events_in_window": 0}}'
    )
from frozen
join unnest(%(instants)s::timestamptz[]) as instant (at) on instant.at < frozen.until
join public.consumer_analytics as old on old.consumer_id = frozen.consumer_id and old.snapshot_timestamp = instant.at
where old.metrics_json -> 'total_customers' <> '0'
    and {wanted}
    and not exists (
        select
        from rendered_snapshots as new
        where new.consumer_id = old.consumer_id and new.snapshot_timestamp = old.snapshot_timestamp
    )
