-- A range's snapshots: all where they are few, else the last one of each slice of
-- time, an index look-up each, so that ten years cost what a month does. The last one
-- at or before the beginning comes along: what happened in the range counts from it.
with few as materialized (
    select snapshot_timestamp
    from public.consumer_analytics
    where {whose} and snapshot_timestamp between %(since)s and %(until)s
    order by snapshot_timestamp
    limit %(points)s + 1
),

how as materialized (
    select count(*) > %(points)s as sampled
    from few
)

-- The one at the very beginning is found twice.
select distinct on (chosen.snapshot_timestamp)
    chosen.snapshot_timestamp,
    chosen.metrics_json,
    exists (
        select
        from public.consumer_analytics_revisions as old
        where old.analytics_id = chosen.analytics_id
    ) as revised,
    (select sampled from how) as sampled
from (
    select analytics_id, snapshot_timestamp, metrics_json
    from public.consumer_analytics
    where (select not sampled from how)
        and {whose}
        and snapshot_timestamp between %(since)s and %(until)s
    union all
    select last.*
    from {slices} as slice
    cross join lateral (
        select analytics_id, snapshot_timestamp, metrics_json
        from public.consumer_analytics
        where {whose}
            and snapshot_timestamp > slice.begins
            and snapshot_timestamp <= slice.ends
        order by snapshot_timestamp desc
        limit 1
    ) as last
    where (select sampled from how)
    union all
    (
        select analytics_id, snapshot_timestamp, metrics_json
        from public.consumer_analytics
        where {whose} and snapshot_timestamp <= %(since)s
        order by snapshot_timestamp desc
        limit 1
    )
) as chosen
order by chosen.snapshot_timestamp
