-- Changes of the customers by consumer and slot, one column for each status
-- that has one.
create temporary table customer_cells {lifetime} as
select
    consumer_id,
    slot,
    sum(n)::bigint as customers,
    sum(dated)::bigint as dated,
    sum(created_us) as created_us,
    sum(born)::bigint as born
    {pivoted}
from {moved} as moved
group by consumer_id, slot
