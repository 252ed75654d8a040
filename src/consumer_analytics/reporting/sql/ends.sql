-- What freshness is seen between: the first run of all, and the latest snapshot.
select
    (select min(opened_at) from consumer_analytics_internal.runs),
    (select max(snapshot_timestamp) from public.consumer_analytics where consumer_id is null)
