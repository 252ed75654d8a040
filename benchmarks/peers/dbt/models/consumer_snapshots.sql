-- A row for each consumer at the end of each day that has none yet: totals so far.
{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        indexes=[{'columns': ['consumer_id', 'snapshot_timestamp'], 'unique': true}],
    )
}}

with bounds as (
    select
        {% if is_incremental() %}
        (select max(snapshot_timestamp) from {{ this }}) as first_day,
        {% else %}
        timestamp '{{ var("first_day", "2024-01-02") }}' as first_day,
        {% endif %}
        (select max(day) from {{ ref('event_counts') }}) as last_day
),

days as (
    select generate_series(first_day, last_day, interval '1 day') as day
    from bounds
),

events_before as (
    select consumer_id, event_type, sum(events) as events
    from {{ ref('event_counts') }}
    where day < (select first_day from bounds)
    group by 1, 2
),

events_of_days as (
    select consumer_id, event_type, day, events
    from {{ ref('event_counts') }}
    where day >= (select first_day from bounds)
),

event_pairs as (
    select consumer_id, event_type from events_before
    union
    select consumer_id, event_type from events_of_days
),

event_totals as (
    select
        consumer_id,
        event_type,
        day,
        coalesce(events_before.events, 0)
        + sum(coalesce(events_of_days.events, 0)) over (partition by consumer_id, event_type order by day) as events
    from event_pairs
    cross join days
    left join events_before using (consumer_id, event_type)
    left join events_of_days using (consumer_id, event_type, day)
),

events as (
    select
        consumer_id,
        day,
        sum(events) as total_events,
        jsonb_object_agg(event_type, events) filter (where events > 0) as events_by_type
    from event_totals
    group by 1, 2
),

customers_created as (
    select
        consumer_id,
        status,
        greatest(
            date_trunc('day', created_at at time zone 'UTC'), (select first_day from bounds)
        ) as day,
        count(*) as customers
    from {{ source('platform', 'customers') }}
    where created_at < (select last_day + interval '1 day' from bounds) at time zone 'UTC'
    group by 1, 2, 3
),

customer_pairs as (
    select distinct consumer_id, status from customers_created
),

customer_totals as (
    select
        consumer_id,
        status,
        day,
        sum(coalesce(customers, 0)) over (partition by consumer_id, status order by day) as customers
    from customer_pairs
    cross join days
    left join customers_created using (consumer_id, status, day)
),

customers as (
    select
        consumer_id,
        day,
        sum(customers) as total_customers,
        jsonb_object_agg(status, customers) filter (where customers > 0) as customers_by_status
    from customer_totals
    group by 1, 2
)

select
    consumers.consumer_id,
    days.day + interval '1 day' as snapshot_timestamp,
    coalesce(customers.total_customers, 0) as total_customers,
    coalesce(customers.customers_by_status, '{}') as customers_by_status,
    coalesce(events.total_events, 0) as total_events,
    coalesce(events.events_by_type, '{}') as events_by_type
from {{ source('platform', 'consumers') }} as consumers
cross join days
left join events using (consumer_id, day)
left join customers using (consumer_id, day)
