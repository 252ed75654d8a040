-- What happened to customers: some of their lifecycle events. A payload that is no object tells nothing.
insert into audit_marks (customer_id, at, kind, event_id, consumer_id, old_status, new_status, status)
select
    customer_id,
    created_at,
    case event_type
        when {customer_creation} then 'creation'
        when {customer_status_change} then 'change'
        else 'deletion'
    end,
    event_id,
    consumer_id,
    case when event_type = {customer_status_change} then payload ->> {old_status_key} end,
    case when event_type = {customer_status_change} then payload ->> {new_status_key} end,
    case when event_type <> {customer_status_change} then payload ->> {status_key} end
from (
    select
        event_id,
        customer_id,
        consumer_id,
        event_type::text as event_type,
        created_at::timestamptz as created_at,
        -- What is no text in a database, as type json takes it in all the same, tells nothing either.
        case
            when pg_typeof(payload_json) = 'jsonb'::regtype then payload_json
            when
                replace(payload_json::text, '\\', '')
                ~ '\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]'
                then null
            else payload_json
        end as payload
    from {customer_events} as customer_events
    where event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and customer_id is not null
        and {which}
) as events
-- In the order of their index, which takes them in faster so.
order by customer_id, created_at
