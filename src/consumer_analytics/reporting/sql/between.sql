-- The system's last snapshot at or before a range's end, and at or before its beginning.
select
    (
        select max(snapshot_timestamp)
        from public.consumer_analytics
        where consumer_id is null and snapshot_timestamp <= %(until)s
    ),
    (
        select max(snapshot_timestamp)
        from public.consumer_analytics
        where consumer_id is null and snapshot_timestamp <= %(since)s
    )
