-- Instants that runs have not come to, and at which rows of chosen consumers stand alone.
select snapshot_timestamp
from consumer_analytics_internal.written_snapshots
where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    and snapshot_timestamp > %(known)s::timestamptz
    and not is_whole
order by snapshot_timestamp
