-- Instants that are published, `there`, or of which nothing is any more, `thinned`.
select snapshot_timestamp, 'thinned'
from consumer_analytics_internal.thinned_snapshots
where snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
union all
select distinct snapshot_timestamp, 'there'
from public.consumer_analytics
where snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
