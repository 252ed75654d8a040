-- The same of days that runs have taken in and that no instant cuts.
select known.consumer_id, days.slot, {rest} as rest, consumer_analytics_internal.total(known.n) as events
    {pivoted}
from consumer_analytics_internal.event_days as known
join unnest(%(days)s::date[], %(day_slots)s::int[]) as days (day, slot) using (day)
where known.day >= {first}::date and known.day <= {last}::date and {wanted}
group by 1, 2, 3
