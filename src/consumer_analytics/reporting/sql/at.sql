-- The last snapshot at or before each of some instants; an instant without one gives no row.
select
    wanted.place::int,
    snapshot.snapshot_timestamp,
    snapshot.metrics_json,
    exists (
        select
        from public.consumer_analytics_revisions as old
        where old.analytics_id = snapshot.analytics_id
    ) as revised
from unnest(%(instants)s::timestamptz[]) with ordinality as wanted (at, place)
cross join lateral (
    select *
    from public.consumer_analytics
    where {whose} and snapshot_timestamp <= wanted.at
    order by snapshot_timestamp desc
    limit 1
) as snapshot
