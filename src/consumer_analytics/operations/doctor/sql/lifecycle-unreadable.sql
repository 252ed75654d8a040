-- Lifecycle events that say nothing of any customer: the latest ones, and how many there are.
select event_id::text, event_type::text, created_at::text, customer_id is null, count(*) over ()
from {customer_events} as customer_events
where event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
    and (customer_id is null or case when {readable} then {unreadable} else true end)
order by created_at desc, event_id
limit %(limit)s
