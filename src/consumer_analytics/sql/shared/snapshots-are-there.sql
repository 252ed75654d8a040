select exists (
    select
    from public.consumer_analytics
    where consumer_id is null and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
)
