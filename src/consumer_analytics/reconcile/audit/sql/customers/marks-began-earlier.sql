-- Whether an event tells what happened before to a customer of whom something has begun or ended since,
-- who came back, or whose row does not tell its birth.
created_at < %(lower)s::timestamptz
and customer_id in (
    select customer_id
    from audit_marks
    where kind in ('creation', 'deletion')
    union
    select remembered.customer_id
    from consumer_analytics_internal.deleted_customers as remembered
    left join {customers} as today using (customer_id)
    where today.customer_id is not null or remembered.deleted_at >= %(lower)s::timestamptz
    union
    select customer_id
    from {customers} as customers
    where created_at is null
)
