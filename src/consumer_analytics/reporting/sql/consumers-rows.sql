-- The figures of a page's rows, now and at the earlier instant, each row of the snapshots
-- found by its unique index.
select
    page.consumer_id,
    known.name::text,
    jsonb_path_query_first(latest.metrics_json -> 'total_customers', {a_number})::bigint,
    jsonb_path_query_first(latest.metrics_json -> 'active_customers', {a_number})::bigint,
    jsonb_path_query_first(latest.metrics_json -> 'inactive_customers', {a_number})::bigint,
    jsonb_path_query_first(latest.metrics_json -> 'total_events', {a_number})::bigint,
    jsonb_path_query_first(earlier.metrics_json -> 'total_customers', {a_number})::bigint,
    jsonb_path_query_first(earlier.metrics_json -> 'total_events', {a_number})::bigint,
    earlier.consumer_id is not null as was_there
from unnest(%(page)s::uuid[]) with ordinality as page (consumer_id, place)
join public.consumer_analytics as latest
    on latest.consumer_id = page.consumer_id and latest.snapshot_timestamp = %(at)s
left join public.consumer_analytics as earlier
    on earlier.consumer_id = page.consumer_id and earlier.snapshot_timestamp = %(before)s
left join {consumers} as known on known.consumer_id = page.consumer_id
order by page.place
