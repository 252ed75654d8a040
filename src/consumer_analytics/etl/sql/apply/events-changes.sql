-- What a run changes in the counts by day: days counted again are compared with what
-- was known of them, the rest is new. In a table of its own, whose size tells the
-- planner how many they are: where they are many, it hashes the totals.
create temporary table event_changes on commit drop as
select consumer_id, day, event_type, consumer_analytics_internal.total(n) as n
from (
    select consumer_id, day, event_type, n
    from {extracted_events} as extracted
    union all
    select consumer_id, day, event_type, -n
    {recounted_days}
) as rows
group by consumer_id, day, event_type
having consumer_analytics_internal.total(n) <> 0
