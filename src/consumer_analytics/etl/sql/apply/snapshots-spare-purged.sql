-- Instants from before what the source was purged of can no longer be counted:
-- what was reported for them stays, and nothing is made up.
delete from rendered_snapshots
where snapshot_timestamp < %(recountable_from)s::timestamptz
