-- What the rows of some snapshots must say, key by key. To `audit_figures` go those that say
-- something else, those that nothing asks for, without figures, and all rows of instants with
-- figures on trust. Events and customers were placed by `all_bounds`.
with instants as materialized (
    select
        at,
        (extract(epoch from at) - 946684800) * 1000000 as at_us,
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
        -- As they stand in a document.
        rtrim(jsonb_build_object('etl_job', {job}::text)::text, '}}') as job,
        rtrim(ltrim(jsonb_build_object('snapshot_source', snapshot_source)::text, '{{'), '}}') as provenance,
        rtrim(jsonb_build_object('window_start', window_start, 'window_end', at)::text, '}}') as window_keys
    from audit_scopes
    join instants using (at)
),

apart as materialized (
    select scope, at, start_place, unnest(consumers) as consumer_id
    from scopes
    where consumers is not null
),

places as materialized (
    select place
    from scopes
    union
    select start_place
    from scopes
    where start_place is not null
),

-- Where the sums of an earlier turn end that all of these places lie behind.
carried as materialized (
    select *
    from audit_carried
    where place = (
        select max(place)
        from audit_carried
        where place <= (select min(place) from places)
    )
),

-- Where a consumer's events change at a place that is asked for, that row will do to ask by.
changes as (
    select *, false as is_asked
    from carried
    union all
    select *, false
    from audit_changes
    where place > coalesce((select max(place) from carried), 0)
        and place <= (select max(place) from places)
    union all
    select
        false, consumer_id, place, events, 0, 0, 0, 0, null, null {types} {no_statuses},
        consumer_id is not null and place in (select place from places)
    from audit_events
    where place > coalesce((select max(place) from carried), 0)
        and place <= (select max(place) from places)
),

-- Whoever may have a row, and since when at the latest.
known as materialized (
    select is_whole, consumer_id, min(since) as since, bool_or(is_present) as is_present
    from (
        select false as is_whole, consumer_id, created_at::timestamptz as since, false as is_present
        from {consumers} as consumers
        where consumer_id is not null
        union all
        select false, consumer_id, since, is_present
        from audit_owners
        union all
        select distinct is_whole, consumer_id, 'infinity'::timestamptz, false
        from changes
        union all
        select true, null, 'infinity', false
    ) as one
    group by is_whole, consumer_id
),

points as materialized (
    {points}
),

sums as not materialized (
    select consumer_id, place, events
    from points
),

carrying as (
    insert into audit_carried
    select *
    from points
    where place = (select max(place) from places)
        and not exists (select from audit_carried as before where before.place = points.place)
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
    select consumer_id, max(until) as until
    from consumer_analytics_internal.vanished_events
    where {is_noted}
        and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
    group by consumer_id
),

counted as materialized (
    select
        one.consumer_id,
        instants.at,
        coalesce(apart.scope, whole.scope) as scope,
        whole.scope as whole_scope,
        case when apart.scope is null then whole.start_place else apart.start_place end as start_place,
        -- Where the row's own window is another one.
        case when apart.scope is not null then whole.start_place end as whole_start_place,
        instants.at_us,
        one.customers,
        one.dated,
        one.born_us,
        one.undated,
        one.events,
        {creations} as creations,
        {deletions} as deletions,
        one.rest_types,
        one.rest_statuses
        {types}
        {statuses},
        -- None of its rows is left, and perhaps no event tells why; or the source cannot tell.
        not known.is_present or coalesce(instants.at < frozen.until, false) as may_be_held,
        coalesce(instants.at < frozen.until, false) as is_frozen,
        known.since < instants.at
        or one.events > 0
        or (one.customers > 0 and coalesce(instants.at >= frozen.until, true)) as is_due
    from points as one
    join instants using (place)
    join known using (consumer_id)
    left join apart using (consumer_id, at)
    left join scopes as whole on whole.at = instants.at and whole.consumers is null
    left join frozen using (consumer_id)
    where known.since < instants.at
        or one.events > 0
        -- Where nobody can tell of them they are taken out of the whole system's.
        or one.customers > 0
        -- For whom nothing speaks any more, but the row that says what customers it had.
        or (
            (not known.is_present or instants.at < frozen.until)
            and exists (
                select from public.consumer_analytics as said
                where said.consumer_id = one.consumer_id
                    and said.snapshot_timestamp = instants.at
                    and jsonb_typeof(said.metrics_json -> 'total_customers') = 'number'
                    and said.metrics_json -> 'total_customers' > '0'
            )
        )
),

kept as not materialized (
    select
        analytics_id,
        consumer_id,
        consumer_id is null as is_whole,
        coalesce(consumer_id, '00000000-0000-0000-0000-000000000000') as owner,
        snapshot_timestamp as at,
        created_at,
        metrics_json
    from public.consumer_analytics
    where snapshot_timestamp = any(%(instants)s::timestamptz[])
),

doubtful as materialized (
    select counted.consumer_id, counted.at, counted.is_frozen, cut.scope is not null as is_cut
    from counted
    left join cut on cut.scope = counted.scope and cut.consumer_id = counted.consumer_id
    where counted.may_be_held or counted.undated > 0 or cut.scope is not null
),

reported as materialized (
    {reported}
),

-- Where none of a consumer's rows is left: how many of the customers reported no event tells of.
missed as materialized (
    {missed}
),

-- Of customers and events without a consumer.
nobodys as materialized (
    select instants.at, points.events, points.customers
    from points
    join instants using (place)
    where consumer_id is null and not is_whole
),

moved as materialized (
    {moved}
),

judged as materialized (
    select
        reported.*,
        doubtful.consumer_id as owner,
        doubtful.at as asked_at,
        is_cut,
        is_frozen or coalesce(missed.n > coalesce(moved.n, 0), false) as is_held
    from doubtful
    left join reported using (consumer_id, at)
    left join missed using (consumer_id, at)
    left join moved using (at)
),

-- Of rows with a window of their own: what is new in that of the whole system's row.
beside as materialized (
    select
        counted.consumer_id,
        counted.at,
        coalesce(born.n, 0) as new_customers,
        counted.events - coalesce(earlier.events, 0) as new_events
    from counted
    left join born on born.consumer_id = counted.consumer_id and born.scope = counted.whole_scope
    left join points as earlier
        on earlier.consumer_id = counted.consumer_id and earlier.place = counted.whole_start_place
    where counted.scope is distinct from counted.whole_scope
),

rows as materialized (
    select
        counted.consumer_id,
        counted.at,
        counted.scope,
        -- Where the row is not there, nothing says what customers it had.
        case when is_held then coalesce(judged.total, 0) else counted.customers end as customers,
        case when is_held then judged.by_status end as held_by_status,
        case
            when (is_held or counted.undated > 0) and judged.lifetime is not null then judged.lifetime::text
            when is_held is not true and counted.dated > 0
                then round(
                    (counted.dated * counted.at_us - counted.born_us) / counted.dated / 86400000000, 2
                )::text
            else 'null'
        end as lifetime,
        counted.events,
        counted.rest_types,
        counted.rest_statuses
        {types}
        {statuses},
        case when is_held then coalesce(judged.new_customers, 0) else coalesce(born.n, 0) end as new_customers,
        case
            when is_cut then coalesce(judged.new_events, 0)
            else counted.events - coalesce(earlier.events, 0)
        end as new_events,
        case
            when beside.at is not null then beside.new_customers
            when is_held then coalesce(judged.new_customers, 0)
            else coalesce(born.n, 0)
        end as new_customers_whole,
        case
            when beside.at is not null then beside.new_events
            else counted.events - coalesce(earlier.events, 0)
        end as new_events_whole,
        is_held is true as is_held,
        is_held is true or is_cut is true as is_on_trust,
        counted.is_due or judged.total > 0 as has_row
    from counted
    left join judged on judged.owner = counted.consumer_id and judged.asked_at = counted.at
    left join beside on beside.consumer_id = counted.consumer_id and beside.at = counted.at
    left join born on born.consumer_id = counted.consumer_id and born.scope = counted.scope
    left join sums as earlier
        on earlier.consumer_id = counted.consumer_id and earlier.place = counted.start_place
    where counted.is_due or is_held
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
    where has_row
    group by at
),

-- What all consumers have, with what is held in the place of what was counted.
held as materialized (
    select distinct at
    from rows
    where is_held
),

held_by_status as materialized (
    select at, jsonb_object_agg(status, n) as by_status
    from (
        select at, entry.key as status, sum(sign * entry.value::numeric) as n
        from (
            select held.at, '{{' || right(concat({by_status}), -2) || '}}' as by_status, 1 as sign
            from points as one
            join instants using (place)
            join held using (at)
            where is_whole
            union all
            select at, '{{' || right(concat({by_status}), -2) || '}}', -1
            from rows as one
            where is_held
            union all
            select at, held_by_status::text, 1
            from rows
            where is_held
        ) as parts
        cross join lateral jsonb_each(parts.by_status::jsonb) as entry
        group by at, entry.key
        having sum(sign * entry.value::numeric) <> 0
    ) as sums
    group by at
),

whole_by_kind as materialized (
    select
        at,
        right(concat({by_type}), -2) as by_type,
        case
            when held.at is null then '{{' || right(concat({by_status}), -2) || '}}'
            else coalesce(held_by_status.by_status, '{{}}')::text
        end as by_status,
        case
            when held.at is null then {active_customers}
            else coalesce((held_by_status.by_status -> {active})::numeric, 0)
        end as active,
        case
            when held.at is null then {inactive_customers}
            else coalesce((held_by_status.by_status -> {inactive})::numeric, 0)
        end as inactive
    from points as one
    join instants using (place)
    left join held using (at)
    left join held_by_status using (at)
    where is_whole
),

-- Customers without a consumer, of whom lifecycle events have vanished.
stray as materialized (
    select
        instants.at,
        case
            when frozen.until is null then coalesce(nobodys.customers, 0)
            when jsonb_typeof(kept.customers) = 'number' then trim_scale(kept.customers::numeric)
            else 0
        end as customers,
        coalesce(nobodys.events, 0) as events,
        frozen.until is not null as is_held
    from instants
    left join nobodys using (at)
    left join frozen on frozen.consumer_id is null and instants.at < frozen.until
    left join lateral (
        select metrics_json -> 'unattributed_customers' as customers
        from kept
        where frozen.until is not null and kept.at = instants.at and consumer_id is null
        order by analytics_id
        limit 1
    ) as kept on true
),

-- Those of consumers are written as jsonb writes them, so that the same text is the same document;
-- where types or statuses have no column, their keys are not in its order.
documents as not materialized (
    select
        consumer_id,
        false as is_whole,
        consumer_id as owner,
        one.at,
        coalesce(one.rest_types, '{{}}') = '{{}}' and coalesce(one.rest_statuses, '{{}}') = '{{}}' as is_in_order,
        concat(
            job,
            ', "total_events": ', events,
            ', "events_by_type": {{', right(concat({by_type}), -2), '}}, ',
            provenance,
            ', "total_customers": ', customers,
            ', "active_customers": ',
            case when is_held then coalesce((held_by_status -> {active})::numeric, 0) else {active_customers} end,
            ', "incremental_stats": ', window_keys,
            ', "new_events_in_window": ', new_events, ', "new_customers_in_window": ', new_customers,
            '}}, "inactive_customers": ',
            case when is_held then coalesce((held_by_status -> {inactive})::numeric, 0) else {inactive_customers} end,
            ', "customers_by_status": {{',
            case
                when is_held then right(left(held_by_status::text, -1), -1)
                else right(concat({by_status}), -2)
            end,
            '}}, "avg_customer_lifetime_days": ', lifetime, '}}'
        ) as written,
        is_on_trust as is_held
    from rows as one
    join scopes using (scope)
    where has_row
    union all
    select
        null,
        true,
        '00000000-0000-0000-0000-000000000000',
        scopes.at,
        false,
        concat(
            job, ',', provenance, ',"snapshot_type":"GLOBAL","consumers_in_system":', coalesce(whole.consumers, 0),
            ',"total_customers_all_consumers":', coalesce(whole.customers, 0),
            ',"active_customers_all_consumers":', coalesce(whole_by_kind.active, 0),
            ',"inactive_customers_all_consumers":', coalesce(whole_by_kind.inactive, 0),
            ',"customers_by_status_all_consumers":', coalesce(whole_by_kind.by_status, '{{}}'),
            ',"system_wide_active_ratio":',
            coalesce(round(whole_by_kind.active::numeric / nullif(whole.customers, 0), 4), 0),
            ',"total_events_all_consumers":', coalesce(whole.events, 0),
            ',"events_by_type_all_consumers":{{', whole_by_kind.by_type,
            '}},"unattributed_customers":', stray.customers, ',"unattributed_events":', stray.events,
            ',"incremental_stats":', window_keys,
            ',"new_customers_in_window":', coalesce(whole.new_customers, 0),
            ',"new_events_in_window":', coalesce(whole_cut.new_events, whole.new_events, 0), '}}}}'
        ),
        coalesce(whole.is_on_trust, false) or stray.is_held
    from scopes
    join stray using (at)
    left join whole using (at)
    left join whole_by_kind using (at)
    left join lateral (
        select
            trim_scale((kept.metrics_json #> '{{incremental_stats,new_events_in_window}}')::numeric)
                as new_events
        from kept
        where kept.at = scopes.at
            and kept.consumer_id is null
            and scopes.scope in (select scope from cut)
            and jsonb_typeof(kept.metrics_json #> '{{incremental_stats,new_events_in_window}}') = 'number'
        limit 1
    ) as whole_cut on true
    where scopes.consumers is null
),

trusted as materialized (
    select at
    from rows
    where is_on_trust and has_row
    union
    select at
    from stray
    where is_held
),

noted as (
    insert into audit_figures (consumer_id, at, figures, is_held)
    -- A row may be there twice.
    select distinct
        coalesce(documents.consumer_id, kept.consumer_id),
        at,
        written::jsonb,
        coalesce(is_held, false)
    from documents
    full join kept using (at, is_whole, owner)
    -- As text: to jsonb 2.0 is 2, to who reads it as an integer it is none. Documents of the same
    -- bytes are the same, and quicker to compare.
    where case
            when is_in_order and metrics_json::text = written then false
            when record_image_eq(row(metrics_json), row(written::jsonb)) then false
            else metrics_json::text is distinct from written::jsonb::text
        end
        or (written is not null and at in (select at from trusted))
    returning at
)

select
    (select count(*) from rows where scope is not null and has_row)
    + (select count(*) from scopes where consumers is null) as rows,
    (select count(*) from trusted) as on_trust,
    (select count(*) from noted) as taken_apart
