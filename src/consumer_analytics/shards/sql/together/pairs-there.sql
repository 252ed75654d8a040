-- Consumers' rows of some instants, all of them.
select consumer_id, snapshot_timestamp
from public.consumer_analytics
where consumer_id is not null and snapshot_timestamp = any({again})
