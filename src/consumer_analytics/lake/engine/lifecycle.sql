-- The events of customers of some types.
select event_id, customer_id, consumer_id, event_type, payload_json, us
from ({events}) as events
where customer_id is not null and event_type in (select types.name from types)
