union all
select
    today.customer_id,
    today.consumer_id,
    today.status::text,
    null,
    coalesce(
        min(event.created_at) filter (where event.event_type::text = {customer_creation}),
        min(event.created_at)
    )::timestamptz
from {customers} as today
join {told_events} as event using (customer_id)
where today.created_at is null
    -- Where nothing has ended, one at -infinity tells it, too.
    and event.created_at > all (
        select known.deleted_at
        from {remembered} as known
        where known.customer_id = today.customer_id and known.reborn_at is not null
    )
group by today.customer_id, today.consumer_id, today.status
