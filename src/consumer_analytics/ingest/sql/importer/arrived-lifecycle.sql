-- Creations of the customers that new lifecycle events are about: what the
-- customer was changes back to there.
with arrived as materialized (
    select distinct staged.customer_id
    from {stage} as staged
    where staged.event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and staged.created_at < %(processed_through)s
        and (
            staged.ctid < %(all_new_until)s::tid
            or staged.event_id in (select inserted.event_id from {inserted} as inserted)
        )
)

select customers.consumer_id, customers.created_at::timestamptz
from {customers} as customers
inner join arrived using (customer_id)
union all
select events.consumer_id, events.created_at::timestamptz
from {customer_events} as events
inner join arrived using (customer_id)
where events.event_type::text = {customer_creation}
