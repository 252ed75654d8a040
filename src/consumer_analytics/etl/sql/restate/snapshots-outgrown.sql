-- Snapshots that the counts have outgrown, each with the start of its window.
select snapshot_timestamp, written.window_start
from public.consumer_analytics
left join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
where consumer_id is null
    and snapshot_timestamp > %(after)s::timestamptz
    and snapshot_timestamp <= %(until)s::timestamptz
order by snapshot_timestamp
limit %(limit)s
