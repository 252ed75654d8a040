-- Instants with snapshots up to one, whether each has a row of the whole system, and
-- whether it may be thinned: the latest snapshot stays whatever its age, and so do those
-- that runs have not come to yet.
select
    snapshot_timestamp as at,
    bool_or(consumer_id is null) as is_whole,
    snapshot_timestamp < (
        select max(snapshot_timestamp) from public.consumer_analytics where consumer_id is null
    )
    and snapshot_timestamp <= (
        select processed_through from consumer_analytics_internal.state where job_name = {job}
    ) as is_removable
from public.consumer_analytics
where snapshot_timestamp <= %(until)s::timestamptz
group by snapshot_timestamp
order by snapshot_timestamp
