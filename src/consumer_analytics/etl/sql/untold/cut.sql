-- Snapshots that have to be computed, each with the start of its window.
select snapshot_timestamp, window_start
from pg_temp.untold_rows
left join consumer_analytics_internal.written_snapshots using (snapshot_timestamp)
where is_sure is null
order by snapshot_timestamp
