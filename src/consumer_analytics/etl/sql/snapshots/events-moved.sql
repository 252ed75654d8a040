-- Events by slot for a plan's snapshots, and how many of them are new in the slot's
-- window: in slot 1 all that were taken in, less those of later slots.
select consumer_id, 1 as slot, event_type, n, 0 as fresh
from consumer_analytics_internal.event_totals
union all
select consumer_id, 1, null, 0, n
from event_slots
where slot = 1
union all
select consumer_id, moved.slot, event_type, moved.n, moved.fresh
from event_slots
cross join lateral (values (1, -n, 0), (event_slots.slot, n, n)) as moved (slot, n, fresh)
where event_slots.slot > 1 and moved.slot <= {last}
