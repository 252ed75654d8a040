-- What is missing: corrected, or vanished. Here is the rule, and nowhere else. It is a correction
-- where capture saw the row change; where its day has no fewer rows than were counted; or where
-- its day is one of those that are swept and the nearest earlier day of its consumer and type
-- still holds rows. All else has vanished (sign 1). Rows that have come to where some had
-- vanished are told too (sign -1).
create temporary table event_judged on commit drop as
with lost as materialized (
    select owner, consumer_id, event_type, day, missing
    from event_differences
    where missing > 0 and not is_whole
),

changed as (
    select
        coalesce(consumer_id::text, '') as owner,
        {event_type_name} as event_type,
        day,
        sum(n) as n
    from consumer_analytics_internal.changed_events
    group by 1, 2, 3
    having sum(n) > 0
),

earlier as materialized (
    select lost.owner, lost.event_type, lost.day, max(known.day) as earlier_day
    from lost
    join consumer_analytics_internal.event_days as known
        on known.event_type = lost.event_type
        and coalesce(known.consumer_id::text, '') = lost.owner
        and known.day < lost.day
    where lost.day >= (
        select processed_through::date - %(sweep_days)s::int
        from consumer_analytics_internal.state
        where job_name = {job} and isfinite(processed_through)
    )
    group by 1, 2, 3
),

still_held as materialized (
    select days.day, held.owner, held.event_type
    from (select distinct earlier_day as day from earlier where isfinite(earlier_day)) as days
    cross join lateral (
        select
            coalesce(consumer_id::text, '') as owner,
            {event_type_name} as event_type
        from {customer_events} as customer_events
        where created_at >= days.day::timestamptz and created_at < (days.day + 1)::timestamptz
        group by 1, 2
        union
        select
            coalesce(consumer_id::text, ''),
            {event_type_name}
        from consumer_analytics_internal.archived_counts as archived
        where archived.day = days.day
    ) as held
)

select lost.owner, lost.consumer_id, lost.event_type, lost.day, (missing - coalesce(changed.n, 0))::bigint as n, 1 as sign
from lost
left join changed using (owner, event_type, day)
left join earlier using (owner, event_type, day)
left join still_held
    on still_held.day = earlier.earlier_day
    and still_held.owner = lost.owner
    and still_held.event_type = lost.event_type
where missing > coalesce(changed.n, 0) and still_held.day is null
union all
select owner, consumer_id, event_type, day, -missing, -1
from event_differences
where missing < 0 and %(counted_too)s
