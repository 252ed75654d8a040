-- Events by consumer and slot, one column for each type that has one, and how many
-- of them are new in the slot's window.
select
    consumer_id,
    slot,
    consumer_analytics_internal.total(n) as events,
    consumer_analytics_internal.total(fresh) as fresh
    {pivoted}
from {moved} as moved
group by consumer_id, slot
