-- Windows of rows that are not the whole system's at these instants: of consumers that were
-- backfilled by themselves, where a whole snapshot came later.
select distinct apart.snapshot_timestamp, apart.window_start
from consumer_analytics_internal.written_apart as apart
join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    and written.is_whole
    and apart.window_start <> written.window_start
    and apart.consumers <> '{{}}'
order by 1, 2
