select consumer_id::text, snapshot_timestamp, count(*)
from public.consumer_analytics
where snapshot_timestamp >= %(lower)s::timestamptz and snapshot_timestamp <= %(upper)s::timestamptz
group by consumer_id, snapshot_timestamp
having count(*) > 1
order by snapshot_timestamp, consumer_id
