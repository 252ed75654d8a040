-- Snapshots from after an instant, and the last one before, each with the start of its window.
select snapshot_timestamp, written.window_start
from public.consumer_analytics
left join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
where consumer_id is null
    and snapshot_timestamp >= (
        select coalesce(max(snapshot_timestamp), '-infinity')
        from public.consumer_analytics
        where consumer_id is null and snapshot_timestamp <= %(since)s::timestamptz
    )
    and snapshot_timestamp <= %(until)s::timestamptz
order by snapshot_timestamp
