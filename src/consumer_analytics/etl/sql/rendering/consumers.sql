-- The snapshots of the consumers, as they are to be written, from `figures`; in
-- its order, which is the unique index's. The JSON is put together as text and
-- cast once, its keys in jsonb's own order: half the cost of building it from
-- parts.
select
    figures.consumer_id,
    instants.at as snapshot_timestamp,
    concat({document})::jsonb as metrics_json
from figures
join instants using (slot)
{joined}
-- A consumer has a row if it is registered, or owns anything, from before the instant.
where registered or events > 0 or customers > 0
