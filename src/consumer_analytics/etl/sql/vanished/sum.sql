-- How many notes are meant, and of how many events.
select count(*), coalesce(sum(n), 0)::bigint, coalesce(sum(came_back), 0)::bigint
from consumer_analytics_internal.vanished_events
where {chosen}
