-- Takes rows out that are not there yet, of consumers who were asked for in another window at that
-- instant, or whose snapshot has another one; answers in which.
with known as materialized (
    select consumer_id, snapshot_timestamp, coalesce(apart.window_start, written.window_start) as window_start
    from pg_temp.rendered_snapshots as new
    left join lateral (
        select min(window_start) as window_start
        from consumer_analytics_internal.written_apart as noted
        where noted.snapshot_timestamp = new.snapshot_timestamp and new.consumer_id = any(noted.consumers)
    ) as apart on true
    left join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
)

delete from pg_temp.rendered_snapshots as new
using known
where known.consumer_id = new.consumer_id
    and known.snapshot_timestamp = new.snapshot_timestamp
    and known.window_start <> (new.metrics_json #>> '{{incremental_stats,window_start}}')::timestamptz
    and not exists (
        select from public.consumer_analytics as old
        where old.consumer_id = new.consumer_id and old.snapshot_timestamp = new.snapshot_timestamp
    )
returning new.consumer_id, new.snapshot_timestamp, known.window_start
