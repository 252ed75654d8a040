-- Lifecycle events of the ranges that are read.
select customer_id, event_type::text as event_type, created_at::timestamptz as at
from {customer_events}
where {in_ranges}
    and created_at < 'infinity'
    and event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
    and customer_id is not null
