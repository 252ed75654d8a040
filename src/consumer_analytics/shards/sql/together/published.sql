-- Those of some instants that were published whole: `there`, or `thinned` since and not written again.
select snapshot_timestamp, 'there' as kept
from public.consumer_analytics
where consumer_id is null and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
union all
select snapshot_timestamp, 'thinned' as kept
from consumer_analytics_internal.thinned_snapshots as thinned
where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    and not ({there_again})
