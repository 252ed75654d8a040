-- The lifecycle events that the source holds, from the beginning of an instant's day on.
(
    select created_at::timestamptz as at
    from {customer_events} as customer_events
    where created_at >= %(first)s::timestamptz::date::timestamptz
        and event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
)
