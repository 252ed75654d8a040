-- What happened before to customers of whom something has begun or ended since, or who came back.
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
        case when jsonb_typeof(payload_json::jsonb) = 'object' then payload_json::jsonb end as payload
    from {customer_events} as customer_events
    where event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and created_at < %(lower)s::timestamptz
        and customer_id in (
            select customer_id
            from audit_marks
            where kind in ('creation', 'deletion')
            union
            select remembered.customer_id
            from consumer_analytics_internal.deleted_customers as remembered
            left join {customers} as today using (customer_id)
            where today.customer_id is not null or remembered.deleted_at >= %(lower)s::timestamptz
        )
) as events
