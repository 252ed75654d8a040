-- Take events of types that nobody had thought of out of the consumers' rows, into
-- rows of their own.
insert into backfill_counted (consumer_id, slot, rest, events)
select others.consumer_id, others.slot, moved.rest, moved.events
from ({parts}) as others
cross join lateral (values (others.rest, others.events), (null, -others.events)) as moved (rest, events)
