-- Rows of a new day, later than all that is archived, that tell of customers' lives: each lifecycle
-- event; the first event of a customer, and the first after each deletion; and each event that is of
-- another consumer than the one before it. Whoever asks for the first event of a life, or for the last
-- consumer before an instant, finds here what all events would tell.
with fresh as materialized (
    select
        event_id,
        customer_id,
        consumer_id,
        event_type,
        payload_json,
        created_at,
        max(created_at) filter (where event_type = {customer_deletion}) over before_it as last_end,
        lag(created_at) over in_order as previous_at
    from pg_temp.archiving
    where customer_id is not null
    window
        in_order as (partition by customer_id order by created_at, event_id),
        before_it as (
            partition by customer_id order by created_at, event_id
            rows between unbounded preceding and 1 preceding
        )
),

owned as materialized (
    select
        event_id,
        lag(consumer_id) over (partition by customer_id order by created_at, event_id) as previous_consumer
    from fresh
    where consumer_id is not null
),

known as materialized (
    select
        customer_id,
        max(created_at) as last_at,
        max(created_at) filter (where event_type = {customer_deletion}) as last_end,
        (array_agg(consumer_id order by created_at desc, event_id desc) filter (where consumer_id is not null))[1]
            as consumer_id
    from consumer_analytics_internal.archived_events
    where customer_id in (select customer_id from fresh)
    group by customer_id
)

insert into consumer_analytics_internal.archived_events
    (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
select event_id, fresh.customer_id, fresh.consumer_id, event_type, payload_json::json, created_at
from fresh
left join owned using (event_id)
left join known using (customer_id)
where event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
    or coalesce(previous_at, last_at) is null
    or coalesce(previous_at, last_at) <= greatest(fresh.last_end, known.last_end)
    or (
        fresh.consumer_id is not null
        and fresh.consumer_id is distinct from coalesce(owned.previous_consumer, known.consumer_id)
    )
on conflict (event_id) do nothing
