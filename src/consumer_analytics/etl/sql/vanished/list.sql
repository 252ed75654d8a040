-- What is noted as vanished, in the order of time; of the notes that are meant, the first ones.
select consumer_id::text, event_type, since::text, until::text, n, came_back, noted_at, noted_by
from consumer_analytics_internal.vanished_events
where {chosen}
order by since, consumer_id, event_type
limit %(limit)s
