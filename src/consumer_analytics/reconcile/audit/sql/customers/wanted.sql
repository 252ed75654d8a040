-- Customers whose birth or consumer their lifecycle events and rows may not tell.
insert into audit_wanted (customer_id)
with ends as materialized (
    select
        customer_id,
        min(at) filter (where kind in ('deletion', 'gone')) as first_end,
        min(at) filter (where kind = 'creation') as first_creation,
        bool_or(kind in ('deletion', 'gone') and consumer_id is null) as is_stray
    from audit_marks
    group by customer_id
)

select customer_id
from ends
where first_end is not null
    and (first_creation is null or first_creation >= first_end or is_stray)
union
select customer_id
from {customers} as customers
where created_at is null
