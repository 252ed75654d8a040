-- Instants at which what was counted of some days may be divided: those that were reported, and where
-- windows began. How far runs have counted divides none: what is archived lies days before that.
select snapshot_timestamp
from public.consumer_analytics
where consumer_id is null and snapshot_timestamp::date <@ %(days)s::datemultirange
union
select window_start
from consumer_analytics_internal.written_snapshots
where is_whole and window_start::date <@ %(days)s::datemultirange
