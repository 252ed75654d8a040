-- Rows that the contract tolerates, counted so that none is passed over in silence. A time can be
-- missing only where its column lets it: elsewhere nothing is looked at.
with recursive {counted_types},

undated as (
    {maybe_undated}
)

select
    (
        select coalesce(sum(n), 0)::bigint
        from consumer_analytics_internal.event_totals
        where consumer_id is null
    ) as unattributed_events,
    (
        select coalesce(sum(n), 0)::bigint
        from consumer_analytics_internal.event_totals
        where event_type = '(none)'
    ) as untyped_events,
    (
        select coalesce(sum(n), 0)::bigint
        from consumer_analytics_internal.event_totals
        where event_type in (select event_type from types where char_length(event_type) > %(longest)s)
    ) as events_of_long_types,
    (select count(*) from {customer_events} as customer_events where created_at > now()) as future_events,
    case
        when 'customer_events' in (select table_name from undated)
            then (select count(*) from {customer_events} as customer_events where created_at is null)
        else 0
    end as undated_events,
    case
        when 'customers' in (select table_name from undated)
            then (select count(*) from {customers} as customers where created_at is null)
        else 0
    end as undated_customers,
    case
        when 'consumers' in (select table_name from undated)
            then (select count(*) from {consumers} as consumers where created_at is null)
        else 0
    end as undated_consumers
