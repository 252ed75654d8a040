-- The latest snapshots before an instant, ascending.
select snapshot_timestamp
from (
    select snapshot_timestamp
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp < coalesce(%(before)s::timestamptz, 'infinity')
        and snapshot_timestamp <= %(until)s::timestamptz
    order by snapshot_timestamp desc
    limit %(limit)s
) as latest
order by snapshot_timestamp
