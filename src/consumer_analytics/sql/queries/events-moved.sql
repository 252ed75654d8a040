-- Events by slot for a plan's snapshots: all that were taken in, and those at or
-- after the start of the window moved from slot 0 to their own.
select consumer_id, 0 as slot, event_type, n
from consumer_analytics_internal.event_totals
union all
select consumer_id, moved.slot, event_type, moved.n
from event_slots
cross join lateral (values (0, -n), (event_slots.slot, n)) as moved (slot, n)
where moved.slot <= {last}
