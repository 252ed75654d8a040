-- What a sweep changes in the counts by day: what differs, and what of it is noted as vanished now.
create temporary table event_changes on commit drop as
select consumer_id, day, event_type, consumer_analytics_internal.total(n) as n
from (
    select consumer_id, day, event_type, counted - known as n
    from pg_temp.differing_events
    {newly_noted}
) as rows
group by consumer_id, day, event_type
having consumer_analytics_internal.total(n) <> 0
