-- Lifecycle events of some ranges. Of each only what one of its type tells: a payload is text that is
-- parsed for each key.
select
    customer_id,
    event_id,
    event_type::text as event_type,
    created_at::timestamptz as at,
    consumer_id,
    case
        when event_type::text <> {customer_status_change} and ({readable}) then payload_json ->> {status_key}
    end as status,
    case
        when event_type::text = {customer_status_change} and ({readable}) then payload_json ->> {old_status_key}
    end as old_status,
    case
        when event_type::text = {customer_status_change} and ({readable}) then payload_json ->> {new_status_key}
    end as new_status
from {told_events} as customer_events
where {in_ranges}
    and event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
    and customer_id is not null
