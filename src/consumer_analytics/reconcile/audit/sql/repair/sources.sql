-- Snapshots that were put back are those of who wrote them first.
update consumer_analytics_internal.written_snapshots as written
set window_start = first.window_start, snapshot_source = first.snapshot_source
from unnest(%(instants)s::timestamptz[], %(starts)s::timestamptz[], %(sources)s::text[])
    as first (at, window_start, snapshot_source)
where written.snapshot_timestamp = first.at
    and (written.window_start, written.snapshot_source)
    is distinct from (first.window_start, first.snapshot_source)
