alter table public.consumer_analytics
add constraint consumer_analytics_once unique nulls not distinct (consumer_id, snapshot_timestamp)
