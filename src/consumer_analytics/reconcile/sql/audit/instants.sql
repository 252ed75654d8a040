-- Snapshots to compare, those that a run wrote and that are gone too, with the
-- start of their windows, and whether
-- they are rows of chosen consumers alone, as a backfill of these writes them.
select
    at,
    max(
        case
            when start ~ '^-infinity$|^\d{{4,}}-\d\d-\d\dT[0-9:.]+[+-][0-9:]+$' then start::timestamptz
        end
    ) as window_start,
    not bool_or(is_whole) and at <> all(%(backfilled)s::timestamptz[]) as partial
from (
    select
        snapshot_timestamp as at,
        case when consumer_id is null then metrics_json #>> '{{incremental_stats,window_start}}' end as start,
        consumer_id is null
        or coalesce(metrics_json ->> 'snapshot_source', '') not like '%%\_backfill' as is_whole
    from public.consumer_analytics
    union all
    select reached_at, null, true
    from consumer_analytics_internal.runs
    where state = 'success'
        and summary ->> 'window_end' is not null
        -- Whoever keeps the latest snapshots only misses none.
        and reached_at >= (select min(snapshot_timestamp) from public.consumer_analytics)
        -- Nor are those missed that maintenance thinned.
        and reached_at not in (
            select snapshot_timestamp from consumer_analytics_internal.thinned_snapshots
        )
) as known
where at >= %(lower)s::timestamptz and at <= %(upper)s::timestamptz
group by at
order by at
