-- Consumers of lives that are remembered, each with the first birth: the index is walked from one to
-- the next. Not of an end that the row of one who is there contradicts, nor of what nobody has
-- worked out yet, nor of a birth that nothing tells: creation events of its consumer have vanished, so
-- that these speak for it wherever the customer may be counted.
owners_of_lives (consumer_id) as (
    (
        select life.consumer_id
        from consumer_analytics_internal.deleted_customers as life
        where life.consumer_id is not null
            and life.born_from is not null
            -- Not `<>`, which lets the planner expect many, and read all customers.
            and life.created_at is distinct from life.deleted_at
        order by life.consumer_id
        limit 1
    )
    union all
    select next.consumer_id
    from owners_of_lives as owner
    cross join lateral (
        select life.consumer_id
        from consumer_analytics_internal.deleted_customers as life
        where life.consumer_id > owner.consumer_id
            and life.born_from is not null
            and life.created_at is distinct from life.deleted_at
        order by life.consumer_id
        limit 1
    ) as next
),

-- In a step of its own, so that who asks for few of them looks up theirs alone.
life_owners as (
    select owner.consumer_id, born.created_at as since
    from owners_of_lives as owner
    cross join lateral (
        select life.created_at
        from consumer_analytics_internal.deleted_customers as life
        where life.consumer_id = owner.consumer_id
            and life.born_from is not null
            and life.created_at is distinct from life.deleted_at
            and life.created_at is not null
            and not exists (
                select from {customers} as today
                where today.customer_id = life.customer_id
                    and (today.created_at < life.deleted_at or today.created_at is null)
                    and life.reborn_at is null
            )
        order by life.created_at
        limit 1
    ) as born
)
