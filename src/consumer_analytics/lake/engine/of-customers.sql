-- All events of some customers, but for those of some types.
select event_id, customer_id, consumer_id, event_type, payload_json, us
from ({events}) as events
where customer_id in (select customers.id from customers)
    and coalesce(event_type, '') not in (select types.name from types)
