-- Snapshots at some instants; an instant without one gives no row.
select
    snapshot.snapshot_timestamp,
    snapshot.metrics_json,
    exists (
        select
        from public.consumer_analytics_revisions as old
        where old.analytics_id = snapshot.analytics_id
    ) as revised
from unnest(%(instants)s::timestamptz[]) as wanted (at)
cross join lateral (
    select *
    from public.consumer_analytics
    where {whose} and snapshot_timestamp = wanted.at
) as snapshot
