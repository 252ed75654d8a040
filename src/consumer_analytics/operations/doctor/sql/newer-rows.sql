-- What the next run would take in, up to now; counted up to a limit.
select
    (
        select count(*)
        from (
            select from {customers} as customers
            where created_at >= %(from)s::timestamptz and created_at < now()
            limit %(limit)s
        ) as counted
    ),
    (
        select count(*)
        from (
            select from {customer_events} as customer_events
            where created_at >= %(from)s::timestamptz and created_at < now()
            limit %(limit)s
        ) as counted
    )
