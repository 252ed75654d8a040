-- Up to where each shard's snapshots and revisions were read.
select name, rows_through, revisions_through
from consumer_analytics_internal.shards
