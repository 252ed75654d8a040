-- Lifecycle events that tell of no customer, that cannot be read, or that say what cannot be: they
-- undo nothing. Deletions in a life that had ended; and of customers whose row is there, where no
-- creation follows.
with lifecycle as (
    select
        customer_id,
        event_id,
        event_type::text as event_type,
        created_at::timestamptz as at,
        case when {readable} then {unreadable} else true end as is_unreadable
    from {customer_events} as customer_events
    where event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and ({ranges})
),

-- Those that ended no life.
idle as (
    select
        deletion.customer_id,
        exists (
            select from consumer_analytics_internal.deleted_customers as life
            where life.customer_id = deletion.customer_id
                and life.deleted_at <= deletion.at
                and (life.reborn_at is null or life.reborn_at > deletion.at)
        ) as is_second
    from (
        select
            customer_id,
            at,
            row_number() over (partition by customer_id, at order by event_id) as place
        from lifecycle
        where event_type = {customer_deletion} and customer_id is not null
    ) as deletion
    where place > 1
        or not exists (
            select from consumer_analytics_internal.deleted_customers as life
            where life.customer_id = deletion.customer_id and life.deleted_at = deletion.at
        )
)

select
    count(*) filter (where customer_id is null) as lifecycle_events_without_customer,
    count(*) filter (where is_unreadable) as unreadable_lifecycle_events,
    (select count(*) from idle where is_second) as second_deletions,
    (
        select count(*)
        from idle
        where not is_second and customer_id in (select customer_id from {customers} as customers)
    ) as deletions_of_customers_present
from lifecycle
