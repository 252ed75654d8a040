-- Customers whose past new events may tell otherwise, as capture notes them: a lifecycle event from
-- before what was processed, and of a life that is over any event, which may tell its birth or its
-- owner. The first of each will do. And a later deletion of one who has no row and had events: it may
-- tell of who was there before, and was not counted.
insert into consumer_analytics_internal.touched_customers (customer_id, consumer_id, event_at)
with arrived as materialized (
    select
        staged.customer_id,
        staged.consumer_id,
        {created_at} as created_at,
        staged.event_type in ({customer_creation}, {customer_status_change}, {customer_deletion}) as is_lifecycle,
        staged.event_type = {customer_deletion} as is_end
    from {stage} as staged
    where staged.customer_id is not null
        and (
            staged.ctid < %(all_new_until)s::tid
            or staged.event_id in (select inserted.event_id from {inserted} as inserted)
        )
),

ended_since as materialized (
    select distinct arrived.customer_id
    from arrived
    where is_end
        and created_at >= %(processed_through)s::timestamptz
        and not exists (select from {customers} as today where today.customer_id = arrived.customer_id)
)

select customer_id, consumer_id, min(created_at)
from arrived
where created_at < %(processed_through)s::timestamptz
    and (
        is_lifecycle
        or exists (
            select from consumer_analytics_internal.deleted_customers as known
            where known.customer_id = arrived.customer_id
        )
    )
group by customer_id, consumer_id, is_lifecycle
union all
select customer_id, consumer_id, min(arrived.created_at)
from arrived
where is_end
    and created_at >= %(processed_through)s::timestamptz
    and customer_id in (
        select event.customer_id
        from {customer_events} as event
        join ended_since using (customer_id)
        where event.created_at < %(processed_through)s::timestamptz
    )
group by customer_id, consumer_id
