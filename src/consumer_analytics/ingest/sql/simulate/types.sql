-- The event types, as often among the slots as they shall be drawn.
create temp table simulated_types on commit drop as
select (slot - 1)::int as slot, event_type
from unnest(%(types)s::text[]) with ordinality as drawn (event_type, slot)
