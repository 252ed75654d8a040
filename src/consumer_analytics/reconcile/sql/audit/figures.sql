-- What the rows of some snapshots must say. `places` are the snapshots' and their
-- windows' starts among all the bounds that the events were counted by.
insert into audit_figures (consumer_id, snapshot_timestamp, figures)
with instants as materialized (
    select
        slot::int as slot,
        at,
        window_start,
        extract(epoch from at) * 1000000 as at_us,
        array_position(%(all_bounds)s::timestamptz[], at) as place,
        array_position(%(all_bounds)s::timestamptz[], window_start) as start_place,
        -- Births were counted from one bound of the customers to the next.
        window_start = (%(bounds)s::timestamptz[])[slot] as same_window
    from unnest(%(snapshots)s::timestamptz[], %(window_starts)s::timestamptz[])
        with ordinality as instant (at, window_start, slot)
),

places as materialized (
    select place, row_number() over (order by place)::int as rank
    from (
        select place from instants
        union
        select start_place from instants where start_place is not null
    ) as needed
),

steps as materialized (
    select consumer_id, event_type, rank, sum(n) as n
    from (
        select
            consumer_id,
            event_type,
            width_bucket(slot, (select array_agg(place order by place) from places)) + 1 as rank,
            n
        from audit_events
    ) as placed
    where rank <= (select count(*) from places)
    group by consumer_id, event_type, rank
),

-- Before each place: all that lies in the steps up to it.
before as materialized (
    select
        consumer_id,
        event_type,
        place,
        sum(sum(n)) over (partition by consumer_id, event_type order by rank) as n
    from (
        select consumer_id, event_type, rank, n
        from steps
        union all
        select consumer_id, event_type, places.rank, 0
        from (select distinct consumer_id, event_type from steps) as kinds
        cross join places
    ) as dense
    join places using (rank)
    group by consumer_id, event_type, rank, place
),

by_type as materialized (
    select consumer_id, slot, event_type, before.n::bigint as n
    from before
    join instants using (place)
    where before.n > 0
),

events as materialized (
    select consumer_id, slot, sum(n)::bigint as total, jsonb_object_agg(event_type, n) as by_type
    from by_type
    group by consumer_id, slot
),

earlier as materialized (
    select consumer_id, slot, sum(before.n)::bigint as total
    from before
    join instants on instants.start_place = before.place
    group by consumer_id, slot
),

by_status as materialized (
    select
        consumer_id,
        instants.slot,
        status,
        sum(n)::bigint as n,
        sum(dated)::bigint as dated,
        sum(created_us) as us,
        coalesce(sum(born) filter (where changes.slot = instants.slot), 0)::bigint as born
    from audit_customers as changes
    join instants on changes.slot <= instants.slot
    group by consumer_id, instants.slot, status
),

customers as materialized (
    select
        consumer_id,
        slot,
        sum(n)::bigint as total,
        coalesce(jsonb_object_agg(status, n) filter (where n <> 0), '{{}}') as by_status,
        sum(dated) as dated,
        sum(us) as us,
        sum(born)::bigint as born
    from by_status
    group by consumer_id, slot
),

rows as materialized (
    select
        consumer_id,
        slot,
        at,
        coalesce(customers.total, 0) as customers,
        coalesce((customers.by_status ->> 'ACTIVE')::bigint, 0) as active,
        coalesce((customers.by_status ->> 'INACTIVE')::bigint, 0) as inactive,
        coalesce(customers.by_status, '{{}}') as by_status,
        case when dated > 0 then round((dated * at_us - us) / dated / 86400000000, 2) end as lifetime,
        coalesce(events.total, 0) as events,
        coalesce(events.by_type, '{{}}') as by_type,
        case when same_window then coalesce(customers.born, 0) end as new_customers,
        case
            when start_place is not null then coalesce(events.total, 0) - coalesce(earlier.total, 0)
        end as new_events
    from (
        select consumer_id, slot
        from {consumers}
        join instants on created_at < instants.at
        union
        select consumer_id, slot
        from events
        union
        select consumer_id, slot
        from customers
        where total > 0
    ) as belonging
    join instants using (slot)
    left join customers using (consumer_id, slot)
    left join events using (consumer_id, slot)
    left join earlier using (consumer_id, slot)
    where consumer_id is not null
)

select
    consumer_id,
    at,
    jsonb_build_object(
        'total_customers', customers,
        'active_customers', active,
        'inactive_customers', inactive,
        'customers_by_status', by_status,
        'avg_customer_lifetime_days', lifetime,
        'total_events', events,
        'events_by_type', by_type,
        'incremental_stats', jsonb_strip_nulls(
            jsonb_build_object('new_customers_in_window', new_customers, 'new_events_in_window', new_events)
        )
    )
from rows
union all
select
    null,
    at,
    jsonb_build_object(
        'snapshot_type', 'GLOBAL',
        'consumers_in_system', coalesce(whole.consumers, 0),
        'total_customers_all_consumers', coalesce(whole.customers, 0),
        'active_customers_all_consumers', coalesce(whole.active, 0),
        'inactive_customers_all_consumers', coalesce(whole.inactive, 0),
        'customers_by_status_all_consumers', coalesce(
            (
                select jsonb_object_agg(status, n) filter (where n <> 0)
                from (
                    select status, sum(n)::bigint as n
                    from by_status
                    where by_status.slot = instants.slot and consumer_id is not null
                    group by status
                ) as statuses
            ),
            '{{}}'
        ),
        'system_wide_active_ratio', coalesce(round(whole.active::numeric / nullif(whole.customers, 0), 4), 0),
        'total_events_all_consumers', coalesce(whole.events, 0),
        'events_by_type_all_consumers', coalesce(
            (
                select jsonb_object_agg(event_type, n)
                from (
                    select event_type, sum(n)::bigint as n
                    from by_type
                    where by_type.slot = instants.slot and consumer_id is not null
                    group by event_type
                ) as types
            ),
            '{{}}'
        ),
        'unattributed_customers', coalesce(
            (select total from customers where customers.slot = instants.slot and consumer_id is null), 0
        ),
        'unattributed_events', coalesce(
            (select total from events where events.slot = instants.slot and consumer_id is null), 0
        ),
        'incremental_stats', jsonb_strip_nulls(
            jsonb_build_object(
                'new_customers_in_window', case when same_window then coalesce(whole.new_customers, 0) end,
                'new_events_in_window', case when start_place is not null then coalesce(whole.new_events, 0) end
            )
        )
    )
from instants
left join (
    select
        slot,
        count(*) as consumers,
        sum(customers)::bigint as customers,
        sum(active)::bigint as active,
        sum(inactive)::bigint as inactive,
        sum(events)::bigint as events,
        sum(new_customers)::bigint as new_customers,
        sum(new_events)::bigint as new_events
    from rows
    group by slot
) as whole using (slot)
