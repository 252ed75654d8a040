-- Whose customers lifecycle events may be about that came to days gone by: the consumers that they name,
-- and those whose customers they tell of, today or before. NULL among them: anybody's.
with corrected as materialized (
    select consumer_id, day, event_type, n
    from pg_temp.event_changes
    where event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and (day < %(processed_day)s::date or n < 0 or day <@ %(recount)s::datemultirange)
),

told as materialized (
    select distinct event.customer_id
    from corrected
    join {told_events} as event
        on event.created_at >= corrected.day
        and event.created_at < corrected.day + 1
        and event.consumer_id = corrected.consumer_id
        and event.event_type::text = corrected.event_type
)

select consumer_id
from corrected
union
-- What went told of whom it was.
select null
from corrected
where n < 0
union
select today.consumer_id
from told
join {customers} as today using (customer_id)
union
select life.consumer_id
from told
join consumer_analytics_internal.deleted_customers as life using (customer_id)
