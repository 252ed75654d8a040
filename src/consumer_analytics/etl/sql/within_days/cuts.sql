-- Instants within days that are counted again at which a snapshot was reported, or a snapshot's
-- window began: counts by day do not tell what lay before them. Without those that are computed
-- again anyway, and those that nobody can tell, as events have vanished around them.
create temporary table cuts on commit drop as
with state as materialized (
    select processed_through, coalesce(restate_after, 'infinity') as restate_after
    from consumer_analytics_internal.state
    where job_name = {job}
),

reported as materialized (
    select snapshot_timestamp as at
    from public.consumer_analytics
    cross join state
    where consumer_id is null
        and snapshot_timestamp >= lower(%(days)s::datemultirange)::timestamptz
        and snapshot_timestamp <= least(state.processed_through, state.restate_after)
),

moments as (
    select at, at as told_at
    from reported
    union all
    -- Where the snapshot that it began at is there, that one tells.
    select written.window_start, reported.at
    from reported
    join consumer_analytics_internal.written_snapshots as written on written.snapshot_timestamp = reported.at
    where not exists (
        select from public.consumer_analytics as before
        where before.consumer_id is null and before.snapshot_timestamp = written.window_start
    )
)

select at, at::date as day, told_at, dense_rank() over (order by at) as place
from moments
where at <> at::date::timestamptz
    and at::date <@ %(days)s::datemultirange
    and not exists (
        select from consumer_analytics_internal.vanished_events
        where since < moments.at and until > moments.at
    )
