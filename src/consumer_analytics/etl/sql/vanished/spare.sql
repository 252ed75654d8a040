-- Instants that no command writes.
delete from rendered_snapshots
where snapshot_timestamp = any(%(refused)s::timestamptz[])
