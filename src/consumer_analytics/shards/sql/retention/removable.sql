-- The instant up to which what waits for a shard may be thinned: runs have come to it, and a later
-- snapshot is published.
select least(
    (select max(snapshot_timestamp) from public.consumer_analytics where consumer_id is null),
    (select processed_through from consumer_analytics_internal.state where job_name = {job})
)
