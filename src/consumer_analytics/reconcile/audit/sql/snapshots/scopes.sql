-- What was written in a range: each instant with its window and provenance; beside the whole
-- system's those of consumers that were backfilled by themselves. Beyond the calendar nobody writes any.
insert into audit_scopes (at, window_start, snapshot_source, consumers)
select snapshot_timestamp, window_start, snapshot_source, null
from consumer_analytics_internal.written_snapshots
where is_whole
    and snapshot_timestamp >= %(lower)s::timestamptz
    and snapshot_timestamp <= %(upper)s::timestamptz
    and snapshot_timestamp between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'
union all
select snapshot_timestamp, window_start, snapshot_source, consumers
from consumer_analytics_internal.written_apart
where consumers <> '{{}}'
    and snapshot_timestamp >= %(lower)s::timestamptz
    and snapshot_timestamp <= %(upper)s::timestamptz
    and snapshot_timestamp between '0001-01-01 00:00:00+00' and '9999-12-31 23:59:59.999999+00'
