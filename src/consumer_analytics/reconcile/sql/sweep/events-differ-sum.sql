select
    count(distinct day),
    count(distinct coalesce(consumer_id::text, '')),
    count(distinct event_type),
    coalesce(sum(counted - known) filter (where counted > known), 0)::bigint,
    coalesce(sum(known - counted) filter (where known > counted), 0)::bigint
from differing_events
