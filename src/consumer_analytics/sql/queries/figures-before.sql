-- What had come together before the first window, by consumer; the rows
-- without a consumer are the one with consumer NULL.
create temporary table figures_before {lifetime} as
select
    consumer_id,
    sum(events)::bigint as events,
    sum(customers)::bigint as customers,
    sum(dated)::bigint as dated,
    sum(created_us) as created_us
    {summed}
from (
    select consumer_id, events, 0 as customers, 0 as dated, 0 as created_us {event_columns}
    from event_cells
    where slot = 0
    union all
    select consumer_id, 0, customers, dated, created_us {customer_columns}
    from customer_cells
    where slot = 0
) as cells
group by consumer_id
