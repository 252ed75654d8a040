-- Changes of the customers by consumer and slot, one column for each status
-- that has one.
select
    consumer_id,
    slot,
    consumer_analytics_internal.total(n) as customers,
    consumer_analytics_internal.total(dated) as dated,
    sum(created_us) as created_us,
    consumer_analytics_internal.total(born) as born
    {pivoted}
from {moved} as moved
group by consumer_id, slot
