-- As differ, where a sweep has counted the days: what does not differ adds nothing to whether a day has no
-- fewer rows than were counted.
create temporary table event_differences on commit drop as
with kinds as materialized (
    select
        coalesce(consumer_id::text, '') as owner,
        consumer_id,
        event_type,
        day,
        known - counted as missing
    from pg_temp.differing_events
),

noted as (
    select distinct coalesce(consumer_id::text, '') as owner, event_type, since::date as day
    from consumer_analytics_internal.vanished_events
    where n > 0
)

select kinds.owner, kinds.consumer_id, kinds.event_type, kinds.day, kinds.missing, days.is_whole
from kinds
join (
    select day, sum(missing) <= 0 as is_whole
    from kinds
    group by day
) as days using (day)
left join noted using (owner, event_type, day)
where kinds.missing > 0 or (kinds.missing < 0 and noted.day is not null)
