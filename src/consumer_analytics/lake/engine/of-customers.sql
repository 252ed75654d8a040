-- All events of some customers.
select event_id, customer_id, consumer_id, event_type, payload_json, us
from ({rows}) as rows
semi join customers using (customer_id)
