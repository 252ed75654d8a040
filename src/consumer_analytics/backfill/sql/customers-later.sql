-- The customers' changes after slot {middle}, and the sum of those until then.
select {change_columns}
from backfill_customers
where slot > {middle}
union all
select
    consumer_id,
    {middle},
    status,
    consumer_analytics_internal.total(n),
    consumer_analytics_internal.total(dated),
    sum(created_us),
    0
from backfill_customers
where slot <= {middle}
group by consumer_id, status
