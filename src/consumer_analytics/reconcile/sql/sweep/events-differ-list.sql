select consumer_id::text, event_type, day::text, known, counted
from differing_events
order by day, consumer_id, event_type
limit %(limit)s
