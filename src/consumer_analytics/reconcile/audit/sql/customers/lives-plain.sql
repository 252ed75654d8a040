-- The lives of customers of which something is told, and nothing has ever ended: one each, their row's.
-- A creation event tells something of it only where it is later than the birth.
insert into audit_lives (
    customer_id, consumer_id, opened_at, previous_end, born, ended, status, creation_at, creation_status
)
with creations as materialized (
    select distinct on (customer_id) customer_id, at, status
    from audit_marks
    where kind = 'creation'
    order by customer_id, at, event_id
)

select
    customer.customer_id,
    customer.consumer_id,
    '-infinity',
    '-infinity',
    customer.created_at::timestamptz,
    'infinity',
    coalesce(customer.status::text, ''),
    creation.at,
    creation.status
from {customers} as customer
left join creations as creation
    on creation.customer_id = customer.customer_id and creation.at > customer.created_at::timestamptz
where customer.created_at is not null
    and customer.customer_id in (select customer_id from audit_eventful)
    and not exists (
        select
        from audit_marks as mark
        where mark.customer_id = customer.customer_id and mark.kind in ('deletion', 'gone')
    )
