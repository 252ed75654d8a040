-- Windows of rows that stand alone between two instants: of consumers that were backfilled by
-- themselves, where there is no whole snapshot.
select distinct apart.snapshot_timestamp, apart.window_start
from consumer_analytics_internal.written_apart as apart
join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
where snapshot_timestamp > %(after)s::timestamptz
    and snapshot_timestamp <= %(until)s::timestamptz
    and not written.is_whole
    and apart.consumers <> '{{}}'
order by 1, 2
