-- What rows say now is as it was written.
update consumer_analytics_internal.written_snapshots as written
set digest = now.digest
from (
    select
        snapshot_timestamp,
        sum({figures_digest}) as digest
    from public.consumer_analytics
    where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    group by snapshot_timestamp
) as now
where written.snapshot_timestamp = now.snapshot_timestamp and written.digest <> now.digest
