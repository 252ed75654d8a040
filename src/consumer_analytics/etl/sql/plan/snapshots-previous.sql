select greatest(
    (
        select max(snapshot_timestamp)
        from public.consumer_analytics
        where consumer_id is null and snapshot_timestamp < %(before)s::timestamptz
    ),
    (
        select max(snapshot_timestamp)
        from consumer_analytics_internal.thinned_snapshots
        where snapshot_timestamp < %(before)s::timestamptz
    )
)
