-- Rows that came late to the archive tell as they are; answers the customers of whom the files have to
-- be asked, as other rows may tell now that did not: after a deletion, or another consumer's.
with late as (
    insert into consumer_analytics_internal.archived_events
        (event_id, customer_id, consumer_id, event_type, payload_json, created_at)
    select event_id, customer_id, consumer_id, event_type, payload_json::json, created_at
    from pg_temp.archiving
    where customer_id is not null
    on conflict (event_id) do nothing
)

select distinct fresh.customer_id
from pg_temp.archiving as fresh
left join lateral (
    select known.consumer_id
    from consumer_analytics_internal.archived_events as known
    where known.customer_id = fresh.customer_id
        and known.consumer_id is not null
        and (known.created_at, known.event_id) < (fresh.created_at, fresh.event_id)
    order by known.created_at desc, known.event_id desc
    limit 1
) as known on true
where fresh.customer_id is not null
    and (
        event_type = {customer_deletion}
        or (fresh.consumer_id is not null and fresh.consumer_id is distinct from known.consumer_id)
    )
