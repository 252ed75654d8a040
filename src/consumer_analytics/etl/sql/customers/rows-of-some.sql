-- The rows of customers whom some consumers have, or had until a life ended that is remembered.
create temporary table rows_of_some on commit drop as
select customer_id, consumer_id, status, created_at
from {customers} as customers
where consumer_id = any(%(consumers)s::uuid[])
    or customer_id in (
        select customer_id
        from consumer_analytics_internal.deleted_customers
        where consumer_id = any(%(consumers)s::uuid[])
    )
