-- What has come together at the end of slot {last}: the start for the slots
-- after it.
select consumer_id, events, customers, dated, created_us {columns}
from figures
where slot = {last}
union all
-- The rows without a consumer are in no grid.
select
    null,
    consumer_analytics_internal.total(events),
    consumer_analytics_internal.total(customers),
    consumer_analytics_internal.total(dated),
    sum(created_us)
    {summed}
from (
    select events, customers, dated, created_us {columns}
    from figures_before
    where consumer_id is null
    union all
    select events, 0, 0, 0 {event_columns}
    from event_cells
    where consumer_id is null and slot between {first} and {last}
    union all
    select 0, customers, dated, created_us {customer_columns}
    from customer_cells
    where consumer_id is null and slot between {first} and {last}
) as stray
