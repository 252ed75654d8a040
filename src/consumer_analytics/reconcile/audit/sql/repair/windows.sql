-- Of which windows the rows of some instants are: whole snapshots', and those of chosen consumers
-- that stand alone.
select snapshot_timestamp, window_start, true as is_whole, snapshot_source
from consumer_analytics_internal.written_snapshots
where is_whole and snapshot_timestamp = any(%(instants)s::timestamptz[])
union all
select apart.snapshot_timestamp, apart.window_start, false, null
from consumer_analytics_internal.written_apart as apart
join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
where snapshot_timestamp = any(%(instants)s::timestamptz[])
    and not written.is_whole
    and apart.consumers <> '{{}}'
order by 1, 2
