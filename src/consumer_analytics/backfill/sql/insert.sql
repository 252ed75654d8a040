-- Snapshots of a range in which there are none yet, in the unique index's order:
-- that of `figures`, which the rendering keeps.
insert into public.consumer_analytics (consumer_id, snapshot_timestamp, metrics_json)
{rendered}
