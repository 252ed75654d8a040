-- An extract with each type under the name that it is counted under: several may have one.
create temporary table named_events on commit drop as
select
    consumer_id,
    day,
    slot,
    {event_type_name} as event_type,
    consumer_analytics_internal.total(n) as n,
    fresh
from pg_temp.extracted_events
group by 1, 2, 3, 4, 6
