-- Consumers of lives that are remembered, each with the first birth: the index is walked from one to
-- the next. Not of an end that the row of one who is there contradicts, nor of what nobody has
-- worked out yet, nor of a birth that nothing tells: creation events of its consumer have vanished, so
-- that these speak for it wherever the customer may be counted.
life_owners (consumer_id, since) as (
    (
        select life.consumer_id, life.created_at as since
        from consumer_analytics_internal.deleted_customers as life
        where life.consumer_id is not null
            and life.born_from is not null
            -- Not `<>`, which lets the planner expect many, and read all customers.
            and life.created_at is distinct from life.deleted_at
            and life.created_at is not null
            and not exists (
                select from {customers} as today
                where today.customer_id = life.customer_id
                    and (today.created_at < life.deleted_at or today.created_at is null)
                    and life.reborn_at is null
            )
        order by life.consumer_id, life.created_at nulls first
        limit 1
    )
    union all
    select next.consumer_id, next.since
    from life_owners
    cross join lateral (
        select life.consumer_id, life.created_at as since
        from consumer_analytics_internal.deleted_customers as life
        where life.consumer_id > life_owners.consumer_id
            and life.born_from is not null
            and life.created_at is distinct from life.deleted_at
            and life.created_at is not null
            and not exists (
                select from {customers} as today
                where today.customer_id = life.customer_id
                    and (today.created_at < life.deleted_at or today.created_at is null)
                    and life.reborn_at is null
            )
        order by life.consumer_id, life.created_at nulls first
        limit 1
    ) as next
)
