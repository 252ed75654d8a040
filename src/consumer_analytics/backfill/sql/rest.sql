select consumer_id, slot, rest as event_type, events as n
from backfill_counted
where rest is not null
