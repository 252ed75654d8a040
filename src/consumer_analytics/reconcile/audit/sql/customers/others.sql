-- All events of these customers.
insert into audit_others (customer_id, at, consumer_id)
select events.customer_id, events.created_at::timestamptz, events.consumer_id
from audit_wanted as wanted
join {customer_events} as events using (customer_id)
where events.created_at is not null
