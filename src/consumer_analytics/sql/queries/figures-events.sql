-- Events by consumer and slot, one column for each type that has one, and how many
-- of them are new in the slot's window.
create temporary table event_cells {lifetime} as
select
    consumer_id,
    slot,
    sum(n)::bigint as events,
    sum(fresh)::bigint as fresh
    {pivoted}
from {moved} as moved
group by consumer_id, slot
