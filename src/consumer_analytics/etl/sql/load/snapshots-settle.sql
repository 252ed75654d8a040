-- Instants that are owed a snapshot no longer.
delete from consumer_analytics_internal.owed_snapshots
where snapshot_timestamp = any(%(snapshots)s)
