-- The events of customers of some types.
select event_id, customer_id, consumer_id, event_type, payload_json, us
from ({rows}) as rows
semi join types using (event_type)
where customer_id is not null
