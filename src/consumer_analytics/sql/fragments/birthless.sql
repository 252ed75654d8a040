-- Whose lives nothing tells the birth of, since creation events of theirs have vanished: at the instants at
-- which these lives may be counted, what was reported of means stays.
birthless as materialized (
    select consumer_id, range_agg(tstzrange(since, until, '(]')) as instants
    from (
        select
            life.consumer_id,
            (
                select max(before.deleted_at)
                from consumer_analytics_internal.deleted_customers as before
                where before.customer_id = life.customer_id and before.deleted_at < life.deleted_at
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
        select today.consumer_id, null, null
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
    ) as lives
    where consumer_id is not null
    group by consumer_id
)
