-- Of the lifecycle events that were read those from an instant on.
(
    select customer_id, event_id, event_type, at, consumer_id, status, old_status, new_status
    from {apart}
    where at >= {first}::timestamptz
)
