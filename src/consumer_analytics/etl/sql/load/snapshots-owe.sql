-- The instant that a run was held back from.
insert into consumer_analytics_internal.owed_snapshots (snapshot_timestamp, run_key, snapshot_source)
values (%(at)s, %(key)s, %(source)s)
on conflict do nothing
