-- Events by consumer and slot, one column for each type that has one: what
-- happened in slot j lies in row j, what came before the first window in row 0.
create temporary table event_cells {lifetime} as
select
    consumer_id,
    slot,
    sum(n)::bigint as events
    {pivoted}
from {moved} as moved
group by consumer_id, slot
