-- The event types that are counted, and a NULL: the types' index is walked from one to the next.
types (event_type) as (
    select min(event_type)
    from consumer_analytics_internal.event_totals
    union all
    select (
        select min(next.event_type)
        from consumer_analytics_internal.event_totals as next
        where next.event_type > types.event_type
    )
    from types
    where types.event_type is not null
)
