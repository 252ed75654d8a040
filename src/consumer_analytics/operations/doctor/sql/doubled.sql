select consumer_id::text, snapshot_timestamp, array_agg(analytics_id order by analytics_id)
from public.consumer_analytics
group by consumer_id, snapshot_timestamp
having count(*) > 1
order by snapshot_timestamp desc, consumer_id nulls first
limit %(limit)s
