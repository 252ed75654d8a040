-- Events of the ranges that the run reads, by consumer, UTC day, slot and type.
insert into consumer_analytics_internal.extracted_events
    (run_id, consumer_id, day, slot, event_type, n)
select
    %(run_id)s,
    consumer_id,
    day,
    slot,
    case when event_type ~ '\S' then event_type else '(none)' end,
    sum(n)
from ({ranges}) as counted
group by consumer_id, day, slot, 5
