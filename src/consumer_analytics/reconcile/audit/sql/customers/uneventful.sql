-- All others are since their birth what their rows say: counted by its place, not customer by customer.
insert into audit_uneventful (consumer_id, status, born_place, born, n, dated, born_us, is_told)
with creations as materialized (
    select distinct customer_id, consumer_id
    from audit_marks
    where kind = 'creation'
),

customers as (
    select
        customer.consumer_id,
        case when customer.status::text ~ '\S' then customer.status::text else '(none)' end as status,
        customer.created_at::timestamptz as born,
        creation.customer_id is not null as is_told
    from {customers} as customer
    left join creations as creation
        on creation.customer_id = customer.customer_id
            and creation.consumer_id is not distinct from customer.consumer_id
    where customer.created_at is not null
        and not exists (select from audit_eventful as other where other.customer_id = customer.customer_id)
)

select
    consumer_id,
    status,
    width_bucket(born, %(bounds)s::timestamptz[]) + 1 as born_place,
    min(born),
    count(*),
    count(*) filter (where isfinite(born)),
    coalesce(sum(((extract(epoch from born) - 946684800) * 1000000)::bigint) filter (where isfinite(born)), 0),
    is_told
from customers
where born < 'infinity'
group by consumer_id, status, born_place, is_told
