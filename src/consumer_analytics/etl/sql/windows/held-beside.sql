-- Of rows that are held, snapshots of the whole system in whose window these are not: each with the start of
-- its own.
select distinct written.snapshot_timestamp, written.window_start
from unnest(%(instants)s::timestamptz[], %(consumers)s::uuid[]) as held (at, consumer_id)
join consumer_analytics_internal.written_snapshots as written
    on written.snapshot_timestamp = held.at and written.is_whole
join consumer_analytics_internal.written_apart as apart
    on apart.snapshot_timestamp = held.at and held.consumer_id = any(apart.consumers)
where apart.window_start <> written.window_start
order by 1
