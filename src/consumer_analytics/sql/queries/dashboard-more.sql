-- Whether a range has more snapshots than are shown: reads one more index entry than that.
select
from public.consumer_analytics
where {whose} and snapshot_timestamp between %(since)s and %(until)s
offset %(shown)s
limit 1
