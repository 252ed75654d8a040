-- Whose past has changed, of the customers that capture noted and of those whom something has
-- happened to since the last run: of whom the last snapshots said something else than is known
-- now of that time. What they said is what the row was before its first change since; where it
-- did not change, what it is.
--
-- A change of status, or a deletion, that an event tells of leaves the past as it was. Without
-- such an event, or with one that says otherwise, the customer looks different at every snapshot
-- since it came into being. A lifecycle event that came late, was changed or deleted, changes
-- what was before it.
with notes as (
    delete from consumer_analytics_internal.touched_customers
    returning *
),

fresh as materialized (
    select
        customer_id,
        event_type::text as event_type,
        created_at::timestamptz as at,
        case when {readable} then payload_json end
        ->> case event_type::text when {customer_status_change} then {old_status_key} else {status_key} end as status
    from {customer_events} as customer_events
    where created_at >= %(processed_through)s::timestamptz
        and event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
        and customer_id is not null
        and (
            event_type::text <> {customer_status_change}
            or case when {readable} then payload_json ->> {old_status_key} end is not null
        )
),

rows_before as materialized (
    select distinct on (customer_id) customer_id, consumer_id, status_before, created_before
    from notes
    where created_before is not null
    order by customer_id, touched_id
),

-- With those whose row has not changed since the last run.
said as materialized (
    select customer_id, consumer_id, status_before, created_before
    from rows_before
    union all
    select today.customer_id, today.consumer_id, coalesce(today.status::text, ''), today.created_at::timestamptz
    from {customers} as today
    where today.customer_id in (select customer_id from fresh)
        and today.customer_id not in (select customer_id from rows_before)
        and today.created_at < %(processed_through)s::timestamptz
),

-- What tells of the time before it: a creation only where nothing else does.
first_moments as materialized (
    select
        customer_id,
        coalesce(min(at) filter (where event_type <> {customer_creation}), min(at) filter (where status is not null)) as at
    from fresh
    where customer_id in (select customer_id from said)
    group by customer_id
),

told as (
    select distinct said.customer_id
    from said
    join first_moments as moment using (customer_id)
    join fresh using (customer_id, at)
    left join {customers} as today using (customer_id)
    left join consumer_analytics_internal.deleted_customers as life
        on life.customer_id = said.customer_id and life.deleted_at = fresh.at
    where fresh.status = said.status_before
        or (
            fresh.event_type = {customer_deletion}
            and (today.customer_id is not null or coalesce(fresh.status, life.status, '') = said.status_before)
        )
    union
    -- Nothing has happened of which an event tells.
    select said.customer_id
    from said
    left join first_moments as moment using (customer_id)
    left join {customers} as today using (customer_id)
    left join lateral (
        select life.status
        from consumer_analytics_internal.deleted_customers as life
        where life.customer_id = said.customer_id and life.deleted_at >= %(processed_through)s::timestamptz
        order by life.deleted_at
        limit 1
    ) as life on true
    where moment.at is null
        and said.status_before
        = coalesce(life.status, today.status::text, case when today.customer_id is not null then '' end)
),

untold as (
    select said.consumer_id, said.created_before::date as day
    from said
    where customer_id not in (select customer_id from told)
),

-- A creation later than the birth told the time between the two, until a change did.
told_otherwise as (
    select said.consumer_id, said.created_before::date as day
    from said
    join {told_events} as creation using (customer_id)
    where said.customer_id in (select customer_id from fresh where event_type = {customer_status_change})
        and creation.event_type::text = {customer_creation}
        and creation.created_at > said.created_before
        and creation.created_at < %(processed_through)s::timestamptz
        -- Of a row without a time it is the birth.
        and not exists (
            select from {customers} as today
            where today.customer_id = said.customer_id and today.created_at is null
        )
        and exists (
            select from public.consumer_analytics as snapshot
            where snapshot.consumer_id is null
                and snapshot.snapshot_timestamp > said.created_before
                and snapshot.snapshot_timestamp <= creation.created_at
        )
),

-- Whose deletion tells that it was there, though no row of it was ever seen.
unseen as (
    select life.consumer_id, coalesce(life.created_at, '-infinity')::date as day
    from fresh
    join consumer_analytics_internal.deleted_customers as life
        on life.customer_id = fresh.customer_id and life.deleted_at = fresh.at
    where fresh.event_type = {customer_deletion}
        and life.row_status is null
        and coalesce(life.created_at, '-infinity') < %(processed_through)s::timestamptz
),

events_before as (
    select customer_id, min(event_at) as event_at
    from notes
    where event_at is not null
    group by customer_id
),

-- Whose customer it is and was, whoever the event names.
owners as (
    select customer_id, consumer_id
    from notes
    where event_at is not null
    union
    select customer_id, consumer_id
    from {customers} as customers
    where customer_id in (select customer_id from events_before)
    union
    select customer_id, consumer_id
    from consumer_analytics_internal.deleted_customers
    where customer_id in (select customer_id from events_before)
),

births as (
    select customer_id, min(at) as at
    from (
        select customer_id, created_at::timestamptz as at
        from {customers} as customers
        where customer_id in (select customer_id from events_before)
        union all
        select customer_id, created_at::timestamptz
        from {told_events} as customer_events
        where event_type::text = {customer_creation}
            and customer_id in (select customer_id from events_before)
        union all
        select customer_id, coalesce(created_at, '-infinity')
        from consumer_analytics_internal.deleted_customers
        where customer_id in (select customer_id from events_before)
    ) as told_of
    group by customer_id
)

insert into consumer_analytics_internal.touched_days (consumer_id, day, restates, customers)
select consumer_id, day, false, true
from untold
union
select consumer_id, day, false, true
from told_otherwise
union
select consumer_id, day, false, true
from unseen
union
select owners.consumer_id, least(event_at, births.at)::date, false, true
from events_before
join owners using (customer_id)
left join births using (customer_id)
