-- The instants of a range's snapshots: all where they are few, else the one at its beginning and
-- the last one of each slice of time; and whether there are more of them.
with few as materialized (
    select snapshot_timestamp
    from public.consumer_analytics
    where consumer_id is null and snapshot_timestamp between %(since)s and %(until)s
    order by snapshot_timestamp
    limit %(points)s + 1
),

how as materialized (
    select count(*) > %(points)s as sampled
    from few
)

select few.snapshot_timestamp, how.sampled
from few
cross join how
where not how.sampled or few.snapshot_timestamp = %(since)s
union
select last.snapshot_timestamp, true
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
where (select sampled from how)
order by snapshot_timestamp
