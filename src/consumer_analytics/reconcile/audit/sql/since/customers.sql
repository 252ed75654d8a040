-- From when on the past of customers may have changed since the last clean audit. What its row was
-- then stands in the first note of it, or in the row, where nothing was noted; what it was at that
-- audit's mark is what the first event after it says, or else the row. Where the two agree its past
-- stands. Where they do not, or an event from before came, changed or went, it may be another one
-- since the customer came into being.
with noted as materialized (
    select customer_id, status_before, created_before, event_at, came_at, 0 as part, note_id as place
    from consumer_analytics_internal.noted_changes
    where customer_id is not null
    union all
    select customer_id, status_before, created_before, event_at, came_at, 1, touched_id
    from consumer_analytics_internal.touched_customers
),

first_notes as materialized (
    select distinct on (customer_id) customer_id, status_before, created_before
    from noted
    where created_before is not null
    order by customer_id, part, place
),

events_noted as materialized (
    select customer_id, min(event_at) as event_at
    from noted
    where event_at is not null or came_at is not null
    group by customer_id
),

fresh as materialized (
    select
        customer_id,
        event_type::text as event_type,
        created_at::timestamptz as at,
        case
            when pg_typeof(payload_json) = 'jsonb'::regtype then payload_json
            when
                replace(payload_json::text, '\\', '')
                ~ '\\u0000|\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..)\\u[dD][c-fC-F]'
                then null
            else payload_json
        end
        ->> case event_type::text when {customer_status_change} then {old_status_key} else {status_key} end as status
    from {customer_events} as customer_events
    where created_at >= %(audited_through)s::timestamptz
        and event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and customer_id is not null
),

moments as materialized (
    select customer_id, min(at) as at, bool_or(event_type = {customer_creation}) as has_creation
    from fresh
    group by customer_id
),

concerned as materialized (
    select
        customer_id,
        first_notes.customer_id is not null as is_noted,
        today.customer_id is not null as is_there,
        coalesce(first_notes.status_before, today.status::text, '') as said,
        coalesce(first_notes.created_before, today.created_at::timestamptz) as since,
        today.created_at::timestamptz as created_at,
        coalesce(today.status::text, '') as status,
        moments.at,
        moments.has_creation,
        events_noted.customer_id is not null as has_events_noted,
        events_noted.event_at,
        remembered.created_at as remembered_at
    from (
        select customer_id from noted
        union
        select customer_id from moments
    ) as either
    left join first_notes using (customer_id)
    left join events_noted using (customer_id)
    left join moments using (customer_id)
    left join {customers} as today using (customer_id)
    left join (
        select customer_id, min(coalesce(created_at, '-infinity')) as created_at
        from consumer_analytics_internal.deleted_customers
        group by customer_id
    ) as remembered using (customer_id)
)

select min(coalesce(least(since, created_at, event_at, remembered_at), '-infinity'))
from concerned
left join lateral (
    select count(*) = 1 and bool_and(fresh.status = concerned.said) as is_told
    from fresh
    where fresh.customer_id = concerned.customer_id and fresh.at = concerned.at
) as first_moment on concerned.at is not null
where
    -- It came into being after that audit.
    not (
        not has_events_noted
        and coalesce(remembered_at >= %(audited_through)s::timestamptz, true)
        and case
            when is_noted or is_there then since >= %(audited_through)s::timestamptz
            else has_creation is true
        end
    )
    and (
        has_events_noted
        or has_creation is true
        or remembered_at < since
        or (is_there and created_at is distinct from since)
        or case when at is null then not is_there or status <> said else is_told is not true end
    )
