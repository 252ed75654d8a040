-- One row per consumer and slot out of several parts, and out of types that turn
-- out to have a column under another spelling.
create temporary table event_cells as
select consumer_id, slot, consumer_analytics_internal.total(events) as events
    {summed}
from backfill_counted
group by consumer_id, slot
