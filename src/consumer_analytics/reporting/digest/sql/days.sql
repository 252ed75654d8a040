-- The whole system at some midnights, by the last snapshot at or before each.
select
    last.snapshot_timestamp,
    jsonb_path_query_first(last.metrics_json -> 'total_events_all_consumers', {a_number})::bigint,
    jsonb_path_query_first(last.metrics_json -> 'total_customers_all_consumers', {a_number})::bigint,
    jsonb_path_query_first(last.metrics_json -> 'active_customers_all_consumers', {a_number})::bigint,
    jsonb_path_query_first(last.metrics_json -> 'consumers_in_system', {a_number})::bigint
from unnest(%(midnights)s::timestamptz[]) with ordinality as wanted (midnight, place)
left join lateral (
    select snapshot_timestamp, metrics_json
    from public.consumer_analytics
    where consumer_id is null and snapshot_timestamp <= wanted.midnight
    order by snapshot_timestamp desc
    limit 1
) as last on true
order by wanted.place
