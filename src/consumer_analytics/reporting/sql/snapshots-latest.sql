select snapshot_timestamp, metrics_json
from public.consumer_analytics
where consumer_id is null
order by snapshot_timestamp desc
limit 1
