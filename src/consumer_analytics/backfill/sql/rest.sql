select
    consumer_id,
    slot,
    case when rest ~ '\S' then rest else '(none)' end as event_type,
    events as n
from backfill_counted
where rest is not null
