-- Those of some instants that were published whole: `there`, or `thinned` since and not written again.
select snapshot_timestamp, 'there' as kept
from public.consumer_analytics
where consumer_id is null and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
union all
select snapshot_timestamp, 'thinned' as kept
from consumer_analytics_internal.thinned_snapshots as thinned
where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    and not exists (
        select from public.consumer_analytics as whole
        where whole.consumer_id is null and whole.snapshot_timestamp = thinned.snapshot_timestamp
    )
    and not exists (
        select from consumer_analytics_internal.written_apart as apart
        where apart.snapshot_timestamp = thinned.snapshot_timestamp and apart.consumers <> '{{}}'
    )
