-- How many of some instants have their snapshot, and how many rows these say that they have.
select
    count(*),
    coalesce(sum(1 + jsonb_path_query_first(metrics_json -> 'consumers_in_system', {a_number})::bigint), 0)::bigint
from public.consumer_analytics
where consumer_id is null and snapshot_timestamp = any(%(snapshots)s::timestamptz[])
