-- A snapshot was put together to repair rows of chosen consumers: the others of it go again,
-- within the transaction, and it is not whole.
with unmade as (
    update consumer_analytics_internal.written_snapshots
    set is_whole = false, window_start = null, snapshot_source = null
    where snapshot_timestamp = %(at)s::timestamptz
)

delete from public.consumer_analytics
where snapshot_timestamp = %(at)s::timestamptz
    and (consumer_id = any(%(consumers)s::uuid[])) is not true
