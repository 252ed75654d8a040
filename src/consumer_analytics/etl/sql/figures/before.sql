-- What had come together by the end of slot {before}, by consumer; the rows without
-- a consumer are the one with consumer NULL. Slot 0 is what came before the first
-- window.
select
    consumer_id,
    consumer_analytics_internal.total(events) as events,
    consumer_analytics_internal.total(customers) as customers,
    consumer_analytics_internal.total(dated) as dated,
    sum(created_us) as created_us
    {summed}
from (
    select consumer_id, events, 0 as customers, 0 as dated, 0 as created_us {event_columns}
    from event_cells
    where slot <= {before}
    union all
    select consumer_id, 0, customers, dated, created_us {customer_columns}
    from customer_cells
    where slot <= {before}
) as cells
group by consumer_id
