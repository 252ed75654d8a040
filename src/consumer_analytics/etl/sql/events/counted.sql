-- Events of the ranges that the run reads, by consumer, UTC day, slot and type; `fresh` those from
-- after what was counted.
select
    consumer_id,
    day,
    slot,
    {event_type_name} as event_type,
    consumer_analytics_internal.total(n) as n,
    {fresh} as fresh
from ({ranges}) as counted
group by 1, 2, 3, 4
