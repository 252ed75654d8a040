-- What was corrected of them.
select
    count(distinct day),
    count(distinct coalesce(consumer_id::text, '')),
    count(distinct event_type),
    coalesce(sum(n) filter (where n > 0), 0)::bigint,
    coalesce(-sum(n) filter (where n < 0), 0)::bigint
from event_changes
