union all
-- Rows without a time. Where creation events of its consumer have vanished and nothing tells a birth, the
-- customer counts at each instant that can be told.
select
    today.customer_id,
    today.consumer_id,
    today.status::text,
    null,
    coalesce(known.born_at, '-infinity')
from {customers} as today
left join consumer_analytics_internal.undated_births as known using (customer_id)
where today.created_at is null
    and (
        known.born_at is not null
        or coalesce(today.consumer_id, '00000000-0000-0000-0000-000000000000') in (
            select coalesce(vanished.consumer_id, '00000000-0000-0000-0000-000000000000')
            from consumer_analytics_internal.vanished_events as vanished
            where vanished.event_type = {customer_creation}
        )
    )
