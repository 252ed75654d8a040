-- What the rows of some snapshots must say, key by key. `all_bounds` are the instants and the
-- starts of windows that events and customers were placed by.
insert into audit_figures (consumer_id, at, figures, is_held)
with instants as materialized (
    select
        at,
        extract(epoch from at) * 1000000 as at_us,
        array_position(%(all_bounds)s::timestamptz[], at) as place
    from unnest(%(instants)s::timestamptz[]) as asked (at)
),

scopes as materialized (
    select
        row_number() over () as scope,
        at,
        at_us,
        place,
        window_start,
        array_position(%(all_bounds)s::timestamptz[], window_start) as start_place,
        consumers,
        jsonb_build_object('etl_job', {job}::text, 'snapshot_source', snapshot_source) as provenance,
        jsonb_build_object('window_start', window_start, 'window_end', at) as window_keys
    from audit_scopes
    join instants using (at)
),

apart as materialized (
    select scope, at, unnest(consumers) as consumer_id
    from scopes
    where consumers is not null
),

places as materialized (
    select place, row_number() over (order by place)::int as rank
    from (
        select place from scopes
        union
        select start_place from scopes
    ) as needed
    where place is not null
),

-- Events before each place.
event_steps as materialized (
    select consumer_id, event_type, rank, sum(n) as n
    from (
        select
            consumer_id,
            event_type,
            width_bucket(place - 1, (select array_agg(place order by place) from places)) + 1 as rank,
            n
        from audit_events
    ) as placed
    where rank <= (select count(*) from places)
    group by consumer_id, event_type, rank
),

events_before as materialized (
    select
        consumer_id,
        event_type,
        place,
        sum(sum(n)) over (partition by consumer_id, event_type order by rank) as n
    from (
        select consumer_id, event_type, rank, n
        from event_steps
        union all
        select consumer_id, event_type, places.rank, 0
        from (select distinct consumer_id, event_type from event_steps) as kinds
        cross join places
    ) as dense
    join places using (rank)
    group by consumer_id, event_type, rank, place
),

by_type as materialized (
    select consumer_id, at, event_type, n::bigint as n
    from events_before
    join instants using (place)
    where n > 0
),

events as materialized (
    select consumer_id, at, sum(n) as total, jsonb_object_agg(event_type, n) as by_type
    from by_type
    group by consumer_id, at
),

earlier as materialized (
    select consumer_id, scope, sum(n) as total
    from events_before
    join scopes on scopes.start_place = events_before.place
    group by consumer_id, scope
),

-- Customers at each place.
customer_steps as materialized (
    select
        consumer_id,
        status,
        rank,
        sum(n) as n,
        sum(dated) as dated,
        sum(born_us) as born_us,
        sum(undated) as undated
    from (
        select
            audit_steps.*,
            width_bucket(place - 1, (select array_agg(place order by place) from places)) + 1 as rank
        from audit_steps
    ) as placed
    where rank <= (select count(*) from places)
    group by consumer_id, status, rank
),

by_status as materialized (
    select consumer_id, status, at, n, dated, born_us, undated
    from (
        select
            consumer_id,
            status,
            place,
            sum(sum(n)) over one as n,
            sum(sum(dated)) over one as dated,
            sum(sum(born_us)) over one as born_us,
            sum(sum(undated)) over one as undated
        from (
            select consumer_id, status, rank, n, dated, born_us, undated
            from customer_steps
            union all
            select consumer_id, status, places.rank, 0, 0, 0, 0
            from (select distinct consumer_id, status from customer_steps) as kinds
            cross join places
        ) as dense
        join places using (rank)
        group by consumer_id, status, rank, place
        window one as (partition by consumer_id, status order by rank)
    ) as summed
    join instants using (place)
    where n <> 0
),

customers as materialized (
    select
        consumer_id,
        at,
        sum(n) as total,
        jsonb_object_agg(status, n) as by_status,
        sum(dated) as dated,
        sum(born_us) as born_us,
        sum(undated) as undated
    from by_status
    group by consumer_id, at
),

born as materialized (
    select consumer_id, scope, sum(n) as n
    from scopes
    join audit_births on born_place > start_place and born_place <= place and end_place >= place
    group by consumer_id, scope
),

-- Windows that begin where events have vanished around: how many of these lie in them, nobody can
-- tell, and what was reported of them stands.
cut as materialized (
    select distinct scope, scopes.at, vanished.consumer_id
    from scopes
    join consumer_analytics_internal.vanished_events as vanished
        on vanished.since < scopes.window_start and vanished.until > scopes.window_start
    where {is_noted} and vanished.consumer_id is not null
),

-- Consumers whose customers the source can no longer tell as of an instant: lifecycle events from
-- after it have vanished.
frozen as materialized (
    select coalesce(consumer_id, '00000000-0000-0000-0000-000000000000') as consumer_id, max(until) as until
    from consumer_analytics_internal.vanished_events
    where {is_noted}
        and event_type in ('customer_creation', 'customer_status_change', 'customer_deletion')
    group by consumer_id
),

present as materialized (
    select distinct consumer_id
    from {customers}
),

belonging as materialized (
    select
        consumer_id,
        owner.at,
        coalesce(apart.scope, whole.scope) as scope,
        whole.scope as whole_scope,
        frozen.until is not null as is_frozen
    from (
        select consumer_id, at
        from {consumers}
        join instants on created_at < at
        union
        select consumer_id, at
        from events
        where total > 0
        union
        select consumer_id, at
        from audit_owners
        join instants on since < at
    ) as owner
    left join apart using (consumer_id, at)
    left join scopes as whole on whole.at = owner.at and whole.consumers is null
    left join frozen using (consumer_id)
    where consumer_id is not null
),

counted as materialized (
    select
        one.consumer_id,
        one.at,
        one.scope,
        one.whole_scope,
        coalesce(customers.total, 0) as customers,
        coalesce(customers.by_status, '{{}}') as by_status,
        customers.dated,
        customers.born_us,
        coalesce(customers.undated, 0) as undated,
        coalesce(events.total, 0) as events,
        coalesce(events.by_type, '{{}}') as by_type,
        case
            when one.is_frozen and one.at < frozen.until then true
            -- None of its rows is left, and perhaps no event tells why.
            else present.consumer_id is null
        end as may_be_held,
        one.is_frozen and one.at < frozen.until as is_frozen
    from belonging as one
    left join customers using (consumer_id, at)
    left join events using (consumer_id, at)
    left join present using (consumer_id)
    left join frozen using (consumer_id)
),

-- What rows say whose figures of customers may have to be taken on trust.
reported as materialized (
    select distinct on (counted.consumer_id, counted.at)
        counted.consumer_id,
        counted.at,
        of_status.by_status,
        of_status.total,
        case
            when jsonb_typeof(metrics_json -> 'avg_customer_lifetime_days') in ('number', 'null')
                then metrics_json -> 'avg_customer_lifetime_days'
        end as lifetime,
        case
            when jsonb_typeof(metrics_json #> '{{incremental_stats,new_customers_in_window}}') = 'number'
                then (metrics_json #> '{{incremental_stats,new_customers_in_window}}')::numeric
        end as new_customers,
        case
            when jsonb_typeof(metrics_json #> '{{incremental_stats,new_events_in_window}}') = 'number'
                then (metrics_json #> '{{incremental_stats,new_events_in_window}}')::numeric
        end as new_events,
        case
            when jsonb_typeof(metrics_json #> '{{events_by_type,customer_deletion}}') = 'number'
                then (metrics_json #> '{{events_by_type,customer_deletion}}')::numeric
            else 0
        end as deletions,
        case
            when jsonb_typeof(metrics_json #> '{{events_by_type,customer_creation}}') = 'number'
                then (metrics_json #> '{{events_by_type,customer_creation}}')::numeric
            else 0
        end as creations
    from counted
    left join cut on cut.scope = counted.scope and cut.consumer_id = counted.consumer_id
    join public.consumer_analytics as kept
        on kept.snapshot_timestamp = counted.at and kept.consumer_id = counted.consumer_id
    cross join lateral (
        select
            case
                when jsonb_typeof(metrics_json -> 'customers_by_status') = 'object'
                    then metrics_json -> 'customers_by_status'
                else '{{}}'
            end as by_status
    ) as told
    cross join lateral (
        select
            coalesce(jsonb_object_agg(key, value), '{{}}') as by_status,
            coalesce(sum(value::numeric), 0) as total
        from jsonb_each(told.by_status)
        where jsonb_typeof(value) = 'number'
    ) as of_status
    where counted.may_be_held or counted.undated > 0 or cut.scope is not null
    -- A row may be there twice.
    order by counted.consumer_id, counted.at, kept.analytics_id
),

-- Where none of a consumer's rows is left: how many of the customers reported no event tells of.
-- Deletions that have come since do, and creations that were corrected.
missed as materialized (
    select
        consumer_id,
        at,
        reported.total - counted.customers
        - greatest(coalesce((counted.by_type -> 'customer_deletion')::numeric, 0) - reported.deletions, 0)
        - greatest(reported.creations - coalesce((counted.by_type -> 'customer_creation')::numeric, 0), 0) as n
    from counted
    join reported using (consumer_id, at)
    where counted.may_be_held and not counted.is_frozen and reported.total > counted.customers
),

-- They may be with another one that has more than was reported, and no creation for them.
moved as materialized (
    select more.at, sum(least(more.n, arrivals.n)) as n
    from (
        select
            counted.at,
            counted.consumer_id,
            counted.customers - case
                when jsonb_typeof(kept.metrics_json -> 'total_customers') = 'number'
                    then (kept.metrics_json -> 'total_customers')::numeric
                else 0
            end as n
        from counted
        left join public.consumer_analytics as kept
            on kept.snapshot_timestamp = counted.at and kept.consumer_id = counted.consumer_id
        where not counted.is_frozen and counted.at in (select at from missed where n > 0)
        union all
        select
            asked.at,
            null,
            coalesce(customers.total, 0) - case
                when jsonb_typeof(kept.metrics_json -> 'unattributed_customers') = 'number'
                    then (kept.metrics_json -> 'unattributed_customers')::numeric
                else 0
            end
        from (select distinct at from missed where n > 0) as asked
        left join customers on customers.at = asked.at and customers.consumer_id is null
        left join public.consumer_analytics as kept
            on kept.snapshot_timestamp = asked.at and kept.consumer_id is null
    ) as more
    cross join lateral (
        select count(*) as n
        from audit_lives as life
        where more.n > 0
            and life.consumer_id is not distinct from more.consumer_id
            and (life.born < more.at or life.born is null)
            and life.ended >= more.at
            and not exists (
                select
                from audit_marks as mark
                where mark.customer_id = life.customer_id
                    and mark.kind = 'creation'
                    and mark.consumer_id is not distinct from life.consumer_id
            )
    ) as arrivals
    where more.n > 0
    group by more.at
),

rows as materialized (
    select
        counted.consumer_id,
        counted.at,
        counted.scope,
        case when is_held then reported.total else counted.customers end as customers,
        case when is_held then reported.by_status else counted.by_status end as by_status,
        case
            when (is_held or counted.undated > 0) and reported.lifetime is not null then reported.lifetime
            when not is_held and counted.dated > 0
                then to_jsonb(
                    round((counted.dated * at_us - counted.born_us) / counted.dated / 86400000000, 2)
                )
            else 'null'
        end as lifetime,
        counted.events,
        counted.by_type,
        case
            when is_held then coalesce(reported.new_customers, 0)
            else coalesce(born.n, 0)
        end as new_customers,
        case
            when cut.scope is not null then coalesce(reported.new_events, 0)
            else counted.events - coalesce(earlier.total, 0)
        end as new_events,
        case
            when is_held and counted.scope = counted.whole_scope then coalesce(reported.new_customers, 0)
            else coalesce(born_whole.n, 0)
        end as new_customers_whole,
        counted.events - coalesce(earlier_whole.total, 0) as new_events_whole,
        is_held,
        is_held or cut.scope is not null as is_on_trust
    from counted
    join instants using (at)
    left join reported using (consumer_id, at)
    left join missed using (consumer_id, at)
    left join moved using (at)
    cross join lateral (
        select
            case
                when counted.is_frozen then true
                else coalesce(missed.n > coalesce(moved.n, 0), false)
            end as is_held
    ) as judged
    left join cut on cut.scope = counted.scope and cut.consumer_id = counted.consumer_id
    left join born on born.consumer_id = counted.consumer_id and born.scope = counted.scope
    left join earlier on earlier.consumer_id = counted.consumer_id and earlier.scope = counted.scope
    left join born as born_whole
        on born_whole.consumer_id = counted.consumer_id and born_whole.scope = counted.whole_scope
    left join earlier as earlier_whole
        on earlier_whole.consumer_id = counted.consumer_id and earlier_whole.scope = counted.whole_scope
),

whole as (
    select
        at,
        count(*) as consumers,
        sum(customers) as customers,
        sum(events) as events,
        sum(new_customers_whole) as new_customers,
        sum(new_events_whole) as new_events,
        bool_or(is_on_trust) as is_on_trust
    from rows
    group by at
),

whole_by_status as materialized (
    select at, jsonb_object_agg(status, n) as by_status, max(n) filter (where status = 'ACTIVE') as active,
        max(n) filter (where status = 'INACTIVE') as inactive
    from (
        select at, status, sum(n) as n
        from (
            select rows.at, by_status.status, by_status.n
            from rows
            join by_status using (consumer_id, at)
            where not rows.is_held
            union all
            select rows.at, entry.key, entry.value::numeric
            from rows
            cross join lateral jsonb_each(rows.by_status) as entry
            where rows.is_held
        ) as parts
        group by at, status
        having sum(n) <> 0
    ) as sums
    group by at
),

whole_by_type as materialized (
    select at, jsonb_object_agg(event_type, n) as by_type
    from (
        select at, event_type, sum(n) as n
        from by_type
        where consumer_id is not null
        group by at, event_type
    ) as sums
    group by at
),

-- Customers without a consumer, of whom lifecycle events have vanished.
stray as materialized (
    select
        instants.at,
        case
            when frozen.until is null then coalesce(customers.total, 0)
            when jsonb_typeof(kept.metrics_json -> 'unattributed_customers') = 'number'
                then (kept.metrics_json -> 'unattributed_customers')::numeric
            else 0
        end as customers,
        frozen.until is not null as is_held
    from instants
    left join customers on customers.at = instants.at and customers.consumer_id is null
    left join frozen
        on frozen.consumer_id = '00000000-0000-0000-0000-000000000000' and instants.at < frozen.until
    left join lateral (
        select metrics_json
        from public.consumer_analytics
        where frozen.until is not null
            and snapshot_timestamp = instants.at
            and consumer_id is null
        order by analytics_id
        limit 1
    ) as kept on true
)

select
    consumer_id,
    rows.at,
    scopes.provenance || jsonb_build_object(
        'total_customers', customers,
        'active_customers', coalesce((by_status -> 'ACTIVE')::numeric, 0),
        'inactive_customers', coalesce((by_status -> 'INACTIVE')::numeric, 0),
        'customers_by_status', by_status,
        'avg_customer_lifetime_days', lifetime,
        'total_events', events,
        'events_by_type', by_type,
        'incremental_stats', scopes.window_keys || jsonb_build_object(
            'new_customers_in_window', new_customers, 'new_events_in_window', new_events
        )
    ),
    is_on_trust
from rows
join scopes using (scope)
union all
select
    null,
    scopes.at,
    scopes.provenance || jsonb_build_object(
        'snapshot_type', 'GLOBAL',
        'consumers_in_system', coalesce(whole.consumers, 0),
        'total_customers_all_consumers', coalesce(whole.customers, 0),
        'active_customers_all_consumers', coalesce(whole_by_status.active, 0),
        'inactive_customers_all_consumers', coalesce(whole_by_status.inactive, 0),
        'customers_by_status_all_consumers', coalesce(whole_by_status.by_status, '{{}}'),
        'system_wide_active_ratio', coalesce(
            round(whole_by_status.active / nullif(whole.customers, 0), 4), 0
        ),
        'total_events_all_consumers', coalesce(whole.events, 0),
        'events_by_type_all_consumers', coalesce(whole_by_type.by_type, '{{}}'),
        'unattributed_customers', stray.customers,
        'unattributed_events', coalesce(stray_events.total, 0),
        'incremental_stats', scopes.window_keys || jsonb_build_object(
            'new_customers_in_window', coalesce(whole.new_customers, 0),
            'new_events_in_window', coalesce(whole_cut.new_events, whole.new_events, 0)
        )
    ),
    coalesce(whole.is_on_trust, false) or stray.is_held
from scopes
join stray using (at)
left join whole using (at)
left join whole_by_status using (at)
left join whole_by_type using (at)
left join lateral (
    select (kept.metrics_json #> '{{incremental_stats,new_events_in_window}}')::numeric as new_events
    from public.consumer_analytics as kept
    where kept.snapshot_timestamp = scopes.at
        and kept.consumer_id is null
        and scopes.scope in (select scope from cut)
        and jsonb_typeof(kept.metrics_json #> '{{incremental_stats,new_events_in_window}}') = 'number'
    limit 1
) as whole_cut on true
left join events as stray_events on stray_events.at = scopes.at and stray_events.consumer_id is null
where scopes.consumers is null
