-- The same of all days before the first one of the range that runs have taken in.
select known.consumer_id, 0 as slot, {rest} as rest, consumer_analytics_internal.total(known.n) as events
    {pivoted}
from consumer_analytics_internal.event_days as known
where known.day < {first}::date and {wanted}
group by 1, 2, 3
