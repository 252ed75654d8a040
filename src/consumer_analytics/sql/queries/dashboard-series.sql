-- A range's snapshots: all where they are few, else the last one of each slice of
-- time, an index look-up each, so that ten years cost what a month does. The one
-- before the range comes along: without it the first point has no difference.
with few as materialized (
    select snapshot_timestamp
    from public.consumer_analytics
    where {whose} and snapshot_timestamp between %(since)s and %(until)s
    order by snapshot_timestamp
    limit %(points)s + 1
),

chosen as (
    select snapshot_timestamp
    from few
    where (select count(*) from few) <= %(points)s
    union all
    select last.snapshot_timestamp
    from unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) as slice (begins, ends)
    cross join lateral (
        select snapshot_timestamp
        from public.consumer_analytics
        where {whose}
            and snapshot_timestamp > slice.begins
            and snapshot_timestamp <= slice.ends
        order by snapshot_timestamp desc
        limit 1
    ) as last
    where (select count(*) from few) > %(points)s
    union all
    (
        select snapshot_timestamp
        from public.consumer_analytics
        where {whose} and snapshot_timestamp < %(since)s
        order by snapshot_timestamp desc
        limit 1
    )
)

select
    snapshot.snapshot_timestamp,
    snapshot.metrics_json,
    exists (
        select
        from public.consumer_analytics_revisions as old
        where old.analytics_id = snapshot.analytics_id
    ) as revised
from chosen
cross join lateral (
    select *
    from public.consumer_analytics
    where {whose} and snapshot_timestamp = chosen.snapshot_timestamp
) as snapshot
order by snapshot.snapshot_timestamp
