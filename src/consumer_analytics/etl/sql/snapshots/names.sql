-- The event types and the statuses that come up in a plan's snapshots.
with recursive {counted_types}

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
