-- The event types and the statuses that come up in a plan's snapshots. The types' index is
-- walked from one to the next.
with recursive types (event_type) as (
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

select
    array(
        select event_type
        from types
        where event_type is not null
    ) as types,
    array(
        select distinct status
        from {extracted_customers} as extracted
    ) as statuses
