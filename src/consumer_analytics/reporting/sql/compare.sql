-- Several consumers at the same instants; NULL where one has no snapshot.
select
    wanted.consumer_id::text,
    wanted.snapshot_timestamp,
    (snapshot.metrics_json ->> 'total_customers')::bigint,
    (snapshot.metrics_json ->> 'active_customers')::bigint,
    (snapshot.metrics_json ->> 'total_events')::bigint
from (
    select consumer_id, whom.place, snapshot_timestamp
    from unnest(%(consumers)s::uuid[]) with ordinality as whom (consumer_id, place)
    cross join unnest(%(instants)s::timestamptz[]) as instant (snapshot_timestamp)
) as wanted
left join public.consumer_analytics as snapshot using (consumer_id, snapshot_timestamp)
order by wanted.place, wanted.snapshot_timestamp
