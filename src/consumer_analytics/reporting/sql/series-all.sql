-- A range's snapshots, every one, and the last one at or before its beginning.
select
    chosen.snapshot_timestamp,
    chosen.metrics_json,
    exists (
        select
        from public.consumer_analytics_revisions as old
        where old.analytics_id = chosen.analytics_id
    ) as revised
from public.consumer_analytics as chosen
where {whose}
    and chosen.snapshot_timestamp <= %(until)s
    and chosen.snapshot_timestamp >= coalesce(
        (
            select max(snapshot_timestamp)
            from public.consumer_analytics
            where {whose} and snapshot_timestamp <= %(since)s
        ),
        %(since)s
    )
order by chosen.snapshot_timestamp
