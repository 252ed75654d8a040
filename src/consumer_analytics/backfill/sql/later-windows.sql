-- Which of the rows that were rendered are there in another window, at instants that runs have not
-- come to: whose, when, and where that window begins. Of a whole snapshot its own row stands for all.
select new.consumer_id, new.snapshot_timestamp, known.window_start
from rendered_snapshots as new
cross join lateral (
    select noted.window_start
    from consumer_analytics_internal.written_apart as noted
    where noted.snapshot_timestamp = new.snapshot_timestamp and new.consumer_id = any(noted.consumers)
    union all
    select written.window_start
    from consumer_analytics_internal.written_snapshots as written
    where written.snapshot_timestamp = new.snapshot_timestamp
        and written.is_whole
        and (new.consumer_id is null or not %(is_of_all)s)
        and not exists (
            select from consumer_analytics_internal.written_apart as noted
            where noted.snapshot_timestamp = new.snapshot_timestamp and new.consumer_id = any(noted.consumers)
        )
) as known
where new.snapshot_timestamp > %(known)s::timestamptz
    and known.window_start <> (new.metrics_json #>> '{{incremental_stats,window_start}}')::timestamptz
