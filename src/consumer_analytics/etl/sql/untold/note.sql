-- Note what events-changes found of days gone by, where that can be added to snapshots and is not
-- much; answers 0 where it is not noted, 1 where it is, 2 where customers' lives are among it. Days
-- that the counts reach into are not noted: rows of before and after the mark are one number there.
with corrected as materialized (
    select consumer_id, day, event_type, n
    from pg_temp.event_changes
    where day < %(processed_day)s::date or n < 0 or day <@ %(recount)s::datemultirange
),

-- Of whom no customer is left: whether events tell why is seen by what they were when it was reported.
left_alone as materialized (
    select consumer_id
    from corrected
    where event_type in ({customer_creation}, {customer_deletion})
        and not exists (select from {customers} as one where one.consumer_id = corrected.consumer_id)
),

sure as materialized (
    select
        count(*) <= %(most)s
        and bool_and(
            consumer_id is not null
            and day < %(processed_day)s::date
            and day > '0001-01-01'
        )
        and not exists (select from left_alone) as can_be_added,
        bool_or(event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})) as has_lives
    from corrected
),

noted as (
    insert into consumer_analytics_internal.untold_events as known (consumer_id, day, event_type, until, n)
    select consumer_id, day, event_type, %(known)s::timestamptz, n
    from corrected
    where (select can_be_added from sure)
    on conflict (consumer_id, day, event_type, until) do update
    set n = known.n + excluded.n
)

select case when not coalesce(can_be_added, false) then 0 when has_lives then 2 else 1 end
from sure
