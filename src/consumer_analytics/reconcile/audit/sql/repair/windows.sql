-- Of which windows the rows of some instants are, and whether whole snapshots go with them.
select snapshot_timestamp, window_start, true as is_whole, true as whole_is_there
from consumer_analytics_internal.written_snapshots
where is_whole and snapshot_timestamp = any(%(instants)s::timestamptz[])
union all
select apart.snapshot_timestamp, apart.window_start, false, written.is_whole
from consumer_analytics_internal.written_apart as apart
join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
where snapshot_timestamp = any(%(instants)s::timestamptz[]) and apart.consumers <> '{{}}'
order by 1, 3 desc, 2
