-- Add what events-changes found to the counts by day, and tell what of it corrects
-- earlier runs. Days that no run has seen yet cannot be there already.
with new_days as (
    insert into consumer_analytics_internal.event_days (day, consumer_id, event_type, n)
    select day, consumer_id, event_type, n
    from pg_temp.event_changes
    where day >= %(unseen_from)s::date
    -- As the index has them, but for the types, whose order costs more than it spares.
    order by day, consumer_id
),

known_days as (
    insert into consumer_analytics_internal.event_days as known (day, consumer_id, event_type, n)
    select day, consumer_id, event_type, n
    from pg_temp.event_changes
    where day < %(unseen_from)s::date
    order by day, consumer_id, event_type
    on conflict (day, consumer_id, event_type) do update set n = known.n + excluded.n
)

select
    -- Corrections: changes to what earlier runs had counted.
    -- What lies before the calendar is told as its first day.
    min(greatest(day, '0001-01-01')) filter (
        where day < %(processed_day)s::date
            or n < 0
            or (day = %(processed_day)s::date and day <@ %(recount)s::datemultirange)
    ) as corrected_from,
    coalesce(
        sum(n) filter (
            where n > 0
                and (day < %(processed_day)s::date or (day = %(processed_day)s::date and not %(advances)s))
        ),
        0
    )::bigint as found,
    coalesce(-sum(n) filter (where n < 0), 0)::bigint as vanished,
    min(day) is distinct from max(day) as of_many_days
from pg_temp.event_changes
