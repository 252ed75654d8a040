-- The events that tell of customers: the table's own days, the rows of the archive's that no file has,
-- and of the files those that were taken in.
(
    select
        event_id,
        customer_id,
        consumer_id,
        event_type::text as event_type,
        payload_json::json as payload_json,
        created_at::timestamptz as created_at
    from {customer_events} as own
    where created_at >= (select first_day from consumer_analytics_internal.archive)::timestamptz
        or created_at < '0001-01-02'::timestamptz
    union all
    select event_id, customer_id, consumer_id, event_type, payload_json::json, created_at
    from audit_strays
    union all
    select event_id, customer_id, consumer_id, event_type, payload_json::json, created_at
    from audit_filed
)
