-- Rows that the contract tolerates, counted so that none is passed over in silence. Types are
-- found by a walk of their index from one to the next. A time can be missing only where its
-- column lets it: elsewhere nothing is looked at.
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
),

undated (table_name) as (
    select class.relname
    from pg_attribute as attribute
    join pg_class as class on class.oid = attribute.attrelid
    where class.relnamespace = to_regnamespace(quote_ident(%(schema)s))
        and class.relname in ('consumers', 'customers', 'customer_events')
        and attribute.attname = 'created_at'
        and not attribute.attnotnull
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
    (select count(*) from {customer_events} where created_at > now()) as future_events,
    case
        when 'customer_events' in (select table_name from undated)
            then (select count(*) from {customer_events} where created_at is null)
        else 0
    end as undated_events,
    case
        when 'customers' in (select table_name from undated)
            then (select count(*) from {customers} where created_at is null)
        else 0
    end as undated_customers,
    case
        when 'consumers' in (select table_name from undated)
            then (select count(*) from {consumers} where created_at is null)
        else 0
    end as undated_consumers
