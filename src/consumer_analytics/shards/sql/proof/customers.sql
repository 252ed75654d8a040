-- The ids of a shard's customers.
select {shard}::text, customer_id
from {customers} as customers
