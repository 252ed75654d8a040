-- Lives of which nothing tells the birth, since creation events of their consumers have vanished: from
-- when on they may be counted, and until when. What was reported of means then stays.
birthless as materialized (
    select
        life.consumer_id,
        coalesce(
            (
                select max(before.deleted_at)
                from consumer_analytics_internal.deleted_customers as before
                where before.customer_id = life.customer_id and before.deleted_at < life.deleted_at
            ),
            '-infinity'
        ) as since,
        life.deleted_at as until
    from consumer_analytics_internal.deleted_customers as life
    where (
        select exists (
            select from consumer_analytics_internal.vanished_events as lost where lost.event_type = {customer_creation}
        )
    )
    and life.born_from = 'nothing'
    union all
    select today.consumer_id, '-infinity', 'infinity'
    from {customers} as today
    where (
        select exists (
            select from consumer_analytics_internal.vanished_events as lost where lost.event_type = {customer_creation}
        )
    )
    and today.created_at is null
    and today.consumer_id in (
        select lost.consumer_id
        from consumer_analytics_internal.vanished_events as lost
        where lost.event_type = {customer_creation}
    )
    and not exists (
        select from consumer_analytics_internal.undated_births as known where known.customer_id = today.customer_id
    )
)
