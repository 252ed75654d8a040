-- The newest snapshot there is.
select snapshot_timestamp
from public.consumer_analytics
where consumer_id is null
order by snapshot_timestamp desc
limit 1
