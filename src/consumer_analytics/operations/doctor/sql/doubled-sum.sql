-- How many snapshots are there more than once, and how many rows too many that makes.
select count(*), coalesce(sum(n - 1), 0)::bigint
from (
    select count(*) as n
    from public.consumer_analytics
    group by consumer_id, snapshot_timestamp
    having count(*) > 1
) as doubled
