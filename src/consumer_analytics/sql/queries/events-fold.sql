-- Bring the counts by day, and their sums, to what was extracted. Days counted
-- anew are compared with what was known of them; the rest is added.
with changes as materialized (
    select consumer_id, day, event_type, sum(n)::bigint as n
    from (
        select consumer_id, day, event_type, n
        from consumer_analytics_internal.extracted_events
        where run_id = %(run_id)s
        union all
        select consumer_id, day, event_type, -n
        from consumer_analytics_internal.event_days
        where day >= lower(%(recount)s::datemultirange)
            and day < upper(%(recount)s::datemultirange)
            and day <@ %(recount)s::datemultirange
    ) as rows
    group by consumer_id, day, event_type
    having sum(n) <> 0
),

-- Days that no run has seen yet cannot be there already.
new_days as (
    insert into consumer_analytics_internal.event_days (day, consumer_id, event_type, n)
    select day, consumer_id, event_type, n
    from changes
    where day >= %(unseen_from)s::date
    order by day, consumer_id, event_type
),

known_days as (
    insert into consumer_analytics_internal.event_days as known (day, consumer_id, event_type, n)
    select day, consumer_id, event_type, n
    from changes
    where day < %(unseen_from)s::date
    order by day, consumer_id, event_type
    on conflict (day, consumer_id, event_type) do update set n = known.n + excluded.n
),

sums as materialized (
    select consumer_id, event_type, sum(n)::bigint as n
    from changes
    group by consumer_id, event_type
),

-- Half the price of an upsert for what is there, which is nearly all.
known_totals as (
    update consumer_analytics_internal.event_totals as known
    set n = known.n + sums.n
    from sums
    where known.consumer_id = sums.consumer_id and known.event_type = sums.event_type
    returning known.consumer_id, known.event_type
),

other_totals as (
    insert into consumer_analytics_internal.event_totals as known (consumer_id, event_type, n)
    select consumer_id, event_type, n
    from sums
    where not exists (
        select from known_totals as known
        where known.consumer_id = sums.consumer_id and known.event_type = sums.event_type
    )
    order by consumer_id, event_type
    -- Those of no consumer are looked up here.
    on conflict (consumer_id, event_type) do update set n = known.n + excluded.n
)

select
    -- Corrections: changes to what earlier runs had counted.
    min(day) filter (
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
    coalesce(-sum(n) filter (where n < 0), 0)::bigint as vanished
from changes
