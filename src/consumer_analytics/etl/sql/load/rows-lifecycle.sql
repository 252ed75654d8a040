-- Lifecycle events that tell of no customer, or that cannot be read: they undo nothing.
select
    count(*) filter (where customer_id is null) as lifecycle_events_without_customer,
    count(*) filter (where {unreadable}) as unreadable_lifecycle_events
from {customer_events}
where event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
    and ({ranges})
