-- The customers' cells after slot {middle}, and the sum of those until then.
select consumer_id, slot, customers, dated, created_us, born {columns}
from customer_cells
where slot > {middle}
union all
select
    consumer_id,
    {middle},
    consumer_analytics_internal.total(customers),
    consumer_analytics_internal.total(dated),
    sum(created_us),
    0
    {summed}
from customer_cells
where slot <= {middle}
group by consumer_id
