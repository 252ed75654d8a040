-- The same, from the other side, where that is shorter: all that runs have taken
-- in without the days from the range's first one on.
select known.consumer_id, 0 as slot, {rest} as rest, consumer_analytics_internal.total(known.n) as events
    {pivoted}
from (
    select consumer_id, event_type, n
    from consumer_analytics_internal.event_totals
    union all
    select consumer_id, event_type, -n
    from consumer_analytics_internal.event_days
    where day >= {first}::date
) as known
where {wanted}
group by 1, 2, 3
