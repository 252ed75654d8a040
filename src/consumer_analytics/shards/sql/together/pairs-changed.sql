-- Consumers' rows of published instants that were written, restated or withdrawn since they were
-- last read.
select consumer_id, snapshot_timestamp
from public.consumer_analytics
where analytics_id > {rows} and consumer_id is not null and snapshot_timestamp = any({outgrown})
union
select consumer_id, snapshot_timestamp
from public.consumer_analytics_revisions
where revision_id > {revisions} and consumer_id is not null and snapshot_timestamp = any({outgrown})
