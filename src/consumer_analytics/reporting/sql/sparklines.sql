-- The customers of a page's rows at some instants, each found by the unique index.
select
    consumer_id,
    array_agg(jsonb_path_query_first(snapshot.metrics_json -> 'total_customers', {a_number})::bigint order by wanted.place)
from unnest(%(page)s::uuid[]) as page (consumer_id)
cross join unnest(%(instants)s::timestamptz[]) with ordinality as wanted (snapshot_timestamp, place)
left join public.consumer_analytics as snapshot using (consumer_id, snapshot_timestamp)
group by consumer_id
