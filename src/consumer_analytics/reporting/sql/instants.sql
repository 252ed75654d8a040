-- The instants of a range's snapshots: all where they are few, else the last one of
-- each slice of time.
with few as materialized (
    select snapshot_timestamp
    from public.consumer_analytics
    where consumer_id is null and snapshot_timestamp between %(since)s and %(until)s
    order by snapshot_timestamp
    limit %(points)s + 1
)

select snapshot_timestamp
from few
where (select count(*) from few) <= %(points)s
union all
select last.snapshot_timestamp
from {slices} as slice
cross join lateral (
    select snapshot_timestamp
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp > slice.begins
        and snapshot_timestamp <= slice.ends
    order by snapshot_timestamp desc
    limit 1
) as last
where (select count(*) from few) > %(points)s
order by snapshot_timestamp
