-- Customers whose id several shards have, and which: the first of them, and how many there are.
select customer_id::text, array_agg(shard order by shard), count(*) over ()
from pg_temp.proof_customers
group by customer_id
having count(*) > 1
order by customer_id
limit %(limit)s
