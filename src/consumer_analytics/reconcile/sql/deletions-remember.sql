-- When customers deleted in these days came into being, while the source still
-- says so. Looked up once for each deletion.
insert into consumer_analytics_internal.deleted_customers (customer_id, deleted_at, created_at)
select
    deletion.customer_id,
    deletion.created_at::timestamptz,
    max(creation.created_at)::timestamptz
from {customer_events} as deletion
left join {customer_events} as creation
    on creation.customer_id = deletion.customer_id
        and creation.event_type::text = 'customer_creation'
        and creation.created_at <= deletion.created_at
where deletion.event_type::text = 'customer_deletion'
    and deletion.created_at >= %(since)s::timestamptz
    and deletion.created_at < %(until)s::timestamptz
    and deletion.customer_id is not null
    and not exists (
        select from consumer_analytics_internal.deleted_customers as known
        where known.customer_id = deletion.customer_id
            and known.deleted_at = deletion.created_at::timestamptz
    )
group by deletion.customer_id, deletion.created_at
on conflict do nothing
