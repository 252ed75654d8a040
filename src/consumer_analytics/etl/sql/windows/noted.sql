-- The start of each snapshot's window, as it was when it was written.
select at, window_start
from unnest(%(snapshots)s::timestamptz[]) as asked (at)
left join consumer_analytics_internal.written_snapshots on snapshot_timestamp = at
order by at
