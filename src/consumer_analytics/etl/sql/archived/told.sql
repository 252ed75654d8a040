-- Events that tell of customers' lives, wherever they are. One that is in both is as the archive has it.
(
    select
        event_id,
        customer_id,
        consumer_id,
        event_type::text as event_type,
        payload_json::json as payload_json,
        created_at::timestamptz as created_at
    from {customer_events} as own
    where not exists (
        select from consumer_analytics_internal.archived_events as filed
        where filed.event_id = own.event_id
    )
    union all
    select event_id, customer_id, consumer_id, event_type, payload_json, created_at
    from consumer_analytics_internal.archived_events
)
