-- Several consumers at all of a range's snapshots, and at the last one at or before its beginning.
select
    wanted.consumer_id::text,
    wanted.snapshot_timestamp,
    jsonb_path_query_first(snapshot.metrics_json -> 'total_customers', {a_number})::bigint,
    jsonb_path_query_first(snapshot.metrics_json -> 'active_customers', {a_number})::bigint,
    jsonb_path_query_first(snapshot.metrics_json -> 'total_events', {a_number})::bigint,
    snapshot.analytics_id is not null as is_there
from (
    select whom.consumer_id, whom.place, system.snapshot_timestamp
    from unnest(%(consumers)s::uuid[]) with ordinality as whom (consumer_id, place)
    cross join (
        select snapshot_timestamp
        from public.consumer_analytics
        where consumer_id is null
            and snapshot_timestamp <= %(until)s
            and snapshot_timestamp >= coalesce(
                (
                    select max(snapshot_timestamp)
                    from public.consumer_analytics
                    where consumer_id is null and snapshot_timestamp <= %(since)s
                ),
                %(since)s
            )
    ) as system
) as wanted
left join public.consumer_analytics as snapshot using (consumer_id, snapshot_timestamp)
order by wanted.place, wanted.snapshot_timestamp
