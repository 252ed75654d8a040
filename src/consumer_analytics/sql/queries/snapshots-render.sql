-- The snapshots at the run's instants, as they are to be written.
--
-- Counted from: event_totals (all events taken in), event_slots (those at or
-- after the start of the window, by slot), extracted_customers (changes by
-- slot), consumers.
create temporary table rendered_snapshots on commit drop as
with instants as (
    select
        slot::int as slot,
        at,
        (%(bounds)s::timestamptz[])[slot] as window_start,
        extract(epoch from at) * 1000000 as at_us
    from unnest((%(bounds)s::timestamptz[])[2:]) with ordinality as instant (at, slot)
),

events_at as (
    select moved.consumer_id, instants.slot, moved.event_type, sum(moved.n)::bigint as n
    from (
        select consumer_id, 0 as slot, event_type, n
        from consumer_analytics_internal.event_totals
        union all
        select consumer_id, 0, event_type, -n
        from event_slots
        union all
        select consumer_id, slot, event_type, n
        from event_slots
    ) as moved
    join instants on moved.slot <= instants.slot
    group by moved.consumer_id, instants.slot, moved.event_type
    having sum(moved.n) <> 0
),

events_by_consumer as (
    select consumer_id, slot, sum(n)::bigint as total, jsonb_object_agg(event_type, n) as by_type
    from events_at
    group by consumer_id, slot
),

events_in_window as (
    select consumer_id, slot, sum(n)::bigint as n
    from event_slots
    group by consumer_id, slot
),

customers_at as (
    select
        changes.consumer_id,
        instants.slot,
        changes.status,
        sum(changes.n)::bigint as n,
        sum(changes.dated)::bigint as dated,
        sum(changes.created_us) as created_us,
        coalesce(sum(changes.born) filter (where changes.slot = instants.slot), 0)::bigint as born
    from consumer_analytics_internal.extracted_customers as changes
    join instants on changes.slot <= instants.slot
    where changes.run_id = %(run_id)s
    group by changes.consumer_id, instants.slot, changes.status
),

customers_by_consumer as (
    select
        consumer_id,
        slot,
        sum(n)::bigint as total,
        coalesce(sum(n) filter (where status = 'ACTIVE'), 0)::bigint as active,
        coalesce(sum(n) filter (where status = 'INACTIVE'), 0)::bigint as inactive,
        coalesce(jsonb_object_agg(status, n) filter (where n <> 0), '{{}}') as by_status,
        sum(dated)::bigint as dated,
        sum(created_us) as created_us,
        sum(born)::bigint as born
    from customers_at
    group by consumer_id, slot
),

-- A consumer has a row if it is registered, or owns anything, from before the instant.
consumers_at as (
    select consumer_id, slot
    from {consumers}
    join instants on created_at < instants.at
    union
    select consumer_id, slot
    from events_by_consumer
    where consumer_id is not null
    union
    select consumer_id, slot
    from customers_by_consumer
    where consumer_id is not null and total > 0
),

per_consumer as (
    select
        consumer_id,
        slot,
        coalesce(customers.total, 0) as customers,
        coalesce(customers.active, 0) as active,
        coalesce(customers.inactive, 0) as inactive,
        coalesce(customers.by_status, '{{}}') as by_status,
        case
            when customers.dated > 0
                then round((customers.dated * at_us - customers.created_us) / customers.dated / 86400000000, 2)
        end as lifetime_days,
        coalesce(events.total, 0) as events,
        coalesce(events.by_type, '{{}}') as by_type,
        coalesce(customers.born, 0) as new_customers,
        coalesce(recent.n, 0) as new_events
    from consumers_at
    join instants using (slot)
    left join customers_by_consumer as customers using (consumer_id, slot)
    left join events_by_consumer as events using (consumer_id, slot)
    left join events_in_window as recent using (consumer_id, slot)
),

whole as (
    select
        slot,
        count(consumer_id) as consumers,
        coalesce(sum(customers), 0)::bigint as customers,
        coalesce(sum(active), 0)::bigint as active,
        coalesce(sum(inactive), 0)::bigint as inactive,
        coalesce(sum(events), 0)::bigint as events,
        coalesce(sum(new_customers), 0)::bigint as new_customers,
        coalesce(sum(new_events), 0)::bigint as new_events
    from instants
    left join per_consumer using (slot)
    group by slot
),

whole_by_type as (
    select slot, jsonb_object_agg(event_type, n) as by_type
    from (
        select slot, event_type, sum(n)::bigint as n
        from events_at
        where consumer_id is not null
        group by slot, event_type
    ) as types
    group by slot
),

whole_by_status as (
    select slot, jsonb_object_agg(status, n) filter (where n <> 0) as by_status
    from (
        select slot, status, sum(n)::bigint as n
        from customers_at
        where consumer_id is not null
        group by slot, status
    ) as statuses
    group by slot
)

select
    consumer_id,
    instants.at as snapshot_timestamp,
    jsonb_build_object(
        'total_customers', customers,
        'active_customers', active,
        'inactive_customers', inactive,
        'customers_by_status', by_status,
        'avg_customer_lifetime_days', lifetime_days,
        'total_events', events,
        'events_by_type', by_type,
        'incremental_stats', jsonb_build_object(
            'window_start', instants.window_start,
            'window_end', instants.at,
            'new_customers_in_window', new_customers,
            'new_events_in_window', new_events
        ),
        'snapshot_source', %(snapshot_source)s::text,
        'etl_job', %(job)s::text
    ) as metrics_json
from per_consumer
join instants using (slot)
union all
select
    null,
    instants.at,
    jsonb_build_object(
        'snapshot_type', 'GLOBAL',
        'consumers_in_system', whole.consumers,
        'total_customers_all_consumers', whole.customers,
        'active_customers_all_consumers', whole.active,
        'inactive_customers_all_consumers', whole.inactive,
        'customers_by_status_all_consumers', coalesce(whole_by_status.by_status, '{{}}'),
        'system_wide_active_ratio', case
            when whole.customers > 0 then round(whole.active::numeric / whole.customers, 4)
            else 0
        end,
        'total_events_all_consumers', whole.events,
        'events_by_type_all_consumers', coalesce(whole_by_type.by_type, '{{}}'),
        'unattributed_customers', coalesce(stray_customers.total, 0),
        'unattributed_events', coalesce(stray_events.total, 0),
        'incremental_stats', jsonb_build_object(
            'window_start', instants.window_start,
            'window_end', instants.at,
            'new_customers_in_window', whole.new_customers,
            'new_events_in_window', whole.new_events
        ),
        'snapshot_source', %(snapshot_source)s::text,
        'etl_job', %(job)s::text
    )
from whole
join instants using (slot)
left join whole_by_type using (slot)
left join whole_by_status using (slot)
left join customers_by_consumer as stray_customers
    on stray_customers.slot = whole.slot and stray_customers.consumer_id is null
left join events_by_consumer as stray_events
    on stray_events.slot = whole.slot and stray_events.consumer_id is null
