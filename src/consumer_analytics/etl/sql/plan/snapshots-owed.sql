-- Instants whose snapshots earlier runs were held back from.
select snapshot_timestamp
from consumer_analytics_internal.owed_snapshots
where snapshot_timestamp < %(until)s
order by snapshot_timestamp
