-- Events that tell of customers' lives, wherever they are. A row may be in both: the archive's comes
-- first.
(
    select
        event_id,
        customer_id,
        consumer_id,
        event_type::text as event_type,
        payload_json::json as payload_json,
        created_at::timestamptz as created_at,
        2 as place
    from {customer_events} as own
    union all
    select event_id, customer_id, consumer_id, event_type, payload_json, created_at, 1
    from consumer_analytics_internal.archived_events
)
