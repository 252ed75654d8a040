-- Note what events-changes found of days gone by, where that changes the figures of events alone
-- and is not much; answers whether it is noted. Days that the counts reach into are not: rows of
-- before and after the mark are one number there.
with corrected as materialized (
    select consumer_id, day, event_type, n
    from pg_temp.event_changes
    where day < %(processed_day)s::date or n < 0 or day <@ %(recount)s::datemultirange
),

sure as materialized (
    select
        count(*) <= %(most)s
        and bool_and(
            consumer_id is not null
            and day < %(processed_day)s::date
            and day > '0001-01-01'
            and event_type not in ({customer_creation}, {customer_status_change}, {customer_deletion})
        ) as alone
    from corrected
),

noted as (
    insert into consumer_analytics_internal.untold_events as known (consumer_id, day, event_type, until, n)
    select consumer_id, day, event_type, %(known)s::timestamptz, n
    from corrected
    where (select alone from sure)
    on conflict (consumer_id, day, event_type, until) do update
    set n = known.n + excluded.n
)

select coalesce(alone, false)
from sure
