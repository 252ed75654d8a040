-- Several consumers at the same instants; NULL where one has no snapshot, or no number there.
select
    wanted.consumer_id::text,
    wanted.snapshot_timestamp,
    jsonb_path_query_first(snapshot.metrics_json -> 'total_customers', {a_number})::bigint,
    jsonb_path_query_first(snapshot.metrics_json -> 'active_customers', {a_number})::bigint,
    jsonb_path_query_first(snapshot.metrics_json -> 'total_events', {a_number})::bigint,
    snapshot.analytics_id is not null as is_there
from (
    select consumer_id, whom.place, snapshot_timestamp
    from unnest(%(consumers)s::uuid[]) with ordinality as whom (consumer_id, place)
    cross join unnest(%(instants)s::timestamptz[]) as instant (snapshot_timestamp)
) as wanted
left join public.consumer_analytics as snapshot using (consumer_id, snapshot_timestamp)
order by wanted.place, wanted.snapshot_timestamp
