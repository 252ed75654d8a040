-- Some events counted as a run counts them: how many they are, their cells by consumer, UTC day and type,
-- and their types.
select
    coalesce(sum(n), 0)::bigint as rows,
    count(*) as cells,
    count(distinct event_type) as types
from (
    select consumer_id, date_bin('1 day', created_at, '2000-01-01') as day, event_type, count(*) as n
    from (
        select consumer_id, event_type::text as event_type, created_at
        from {customer_events} as customer_events
        where isfinite(created_at)
        {newest}
        limit %(rows)s
    ) as sample
    group by 1, 2, 3
) as cells
