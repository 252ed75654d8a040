-- Notes the rows that were `inserted`: their instants, and of the whole system's row the window
-- and where it comes from.
insert into consumer_analytics_internal.written_snapshots as written
    (snapshot_timestamp, is_whole, window_start, snapshot_source, digest, whole_digest)
select
    snapshot_timestamp,
    bool_or(consumer_id is null),
    max(window_start) filter (where consumer_id is null)::timestamptz,
    max(snapshot_source) filter (where consumer_id is null),
    sum(digest),
    max(whole_digest)
from inserted
group by snapshot_timestamp
order by snapshot_timestamp
on conflict (snapshot_timestamp) do update
set is_whole = written.is_whole or excluded.is_whole,
    -- Where the whole system's row was gone and is written again, it says so anew.
    window_start = coalesce(excluded.window_start, written.window_start),
    snapshot_source = coalesce(excluded.snapshot_source, written.snapshot_source),
    digest = written.digest + excluded.digest,
    whole_digest = coalesce(excluded.whole_digest, written.whole_digest)
