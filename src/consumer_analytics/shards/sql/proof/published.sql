-- Instants that are published: `there`, or `apart` where chosen consumers' rows stand alone; or of
-- which nothing is any more, `thinned`.
select
    snapshot_timestamp,
    case bool_or(is_whole) when true then 'there' when false then 'apart' else 'thinned' end
from (
    select snapshot_timestamp, null::boolean as is_whole
    from consumer_analytics_internal.thinned_snapshots
    where snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
    union all
    select snapshot_timestamp, consumer_id is null as is_whole
    from public.consumer_analytics
    where snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
    union all
    -- Its row of the whole system may have been removed by hand.
    select snapshot_timestamp, true
    from consumer_analytics_internal.written_snapshots
    where is_whole
        and snapshot_timestamp between %(lower)s::timestamptz and %(upper)s::timestamptz
) as rows
group by snapshot_timestamp
