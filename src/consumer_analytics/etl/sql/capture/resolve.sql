-- Whose past has changed, of the customers that capture noted.
--
-- A change of status, or a deletion, that an event tells of leaves the past as it
-- was: undone, the customer is again what the row said before. Without such an
-- event the customer looks different at every snapshot since it came into being.
-- A lifecycle event that came late, was changed or deleted, changes what was before it.
with notes as (
    delete from consumer_analytics_internal.touched_customers
    returning *
),

rows_before as (
    select distinct on (customer_id) *
    from notes
    where created_before is not null
    order by customer_id, touched_id
),

first_moments as (
    select customer_id, min(created_at) as at
    from {customer_events}
    where created_at >= %(processed_through)s::timestamptz
        and event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
        and customer_id in (select customer_id from rows_before)
    group by customer_id
),

told as (
    select distinct customer_id
    from {customer_events} as event
    join first_moments as moment using (customer_id)
    join rows_before using (customer_id)
    where event.created_at = moment.at
        and (
            (event_type::text = 'customer_status_change' and payload_json ->> 'old_status' = status_before)
            or (event_type::text = 'customer_deletion' and payload_json ->> 'status' = status_before)
        )
),

untold as (
    select noted.consumer_id, noted.created_before::date as day
    from rows_before as noted
    left join {customers} as today using (customer_id)
    where noted.customer_id not in (select customer_id from told)
        and not (
            today.customer_id is not null
            and coalesce(today.status::text, '') = noted.status_before
            and noted.customer_id not in (select customer_id from first_moments)
        )
),

events_before as (
    select customer_id, (array_agg(consumer_id))[1] as consumer_id, min(event_at) as event_at
    from notes
    where event_at >= coalesce(
        (select purged_before from consumer_analytics_internal.state where job_name = {job}), '-infinity'
    )
    group by customer_id
),

births as (
    select customer_id, min(at) as at
    from (
        select customer_id, created_at::timestamptz as at
        from {customers}
        where customer_id in (select customer_id from events_before)
        union all
        select customer_id, created_at::timestamptz
        from {customer_events}
        where event_type::text = 'customer_creation'
            and customer_id in (select customer_id from events_before)
        union all
        select customer_id, created_at
        from consumer_analytics_internal.deleted_customers
        where customer_id in (select customer_id from events_before)
    ) as told_of
    group by customer_id
)

insert into consumer_analytics_internal.touched_days (consumer_id, day)
select consumer_id, day
from untold
union
select consumer_id, least(event_at, births.at)::date
from events_before
left join births using (customer_id)
