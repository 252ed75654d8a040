-- Where a shard stands.
select
    (select processed_through from consumer_analytics_internal.state where job_name = {job}),
    (select max(snapshot_timestamp) from public.consumer_analytics where consumer_id is null),
    (select coalesce(sum(n), 0)::bigint from consumer_analytics_internal.vanished_events),
    pg_database_size(current_database())
