-- Those of some instants, or of all, that were thinned here and are there again: a backfill has
-- written them since.
select snapshot_timestamp
from consumer_analytics_internal.thinned_snapshots as thinned
where (%(snapshots)s::timestamptz[] is null or snapshot_timestamp = any(%(snapshots)s::timestamptz[]))
    and ({there_again})
