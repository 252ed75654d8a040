-- Lifecycle events of some ranges.
select
    customer_id,
    event_id,
    event_type::text as event_type,
    created_at::timestamptz as at,
    consumer_id,
    payload_json ->> {status_key} as status,
    payload_json ->> {old_status_key} as old_status,
    payload_json ->> {new_status_key} as new_status
from {told_events} as customer_events
where {in_ranges}
    and event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
    and customer_id is not null
