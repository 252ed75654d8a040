-- Instants that were thinned and are there again, by a backfill: should they get
-- lost now, an audit is to miss them.
delete from consumer_analytics_internal.thinned_snapshots as thinned
where exists (
    select from public.consumer_analytics as snapshot
    where snapshot.snapshot_timestamp = thinned.snapshot_timestamp and snapshot.consumer_id is null
)
