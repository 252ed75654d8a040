-- Customers whose ended lives what capture noted may change.
create temporary table concerned_customers on commit drop as
select distinct note.customer_id
from consumer_analytics_internal.touched_customers as note
where note.event_at is not null
    or note.came_at is not null
    or not exists (select from {customers} as today where today.customer_id = note.customer_id)
