-- What has to be undone to tell customers as they stood at each of the instants:
-- the beginning of a statement, for those that take it from there. Its results are
-- `unlike` and `returned`.
--
-- bounds is the start of the window, then the instants, ascending. Slot j holds
-- what happened from bound j-1 until bound j, slot 0 what came before.
later as materialized (
    select
        customer_id,
        consumer_id,
        event_id,
        event_type,
        at,
        status,
        new_status,
        width_bucket(at, %(bounds)s::timestamptz[]) as slot,
        lag(at) over moment as previous_at
    from (
        select
            customer_id,
            consumer_id,
            event_id,
            event_type::text as event_type,
            created_at::timestamptz as at,
            -- What the customer was before, except for a creation: there it is what it became.
            payload_json ->> case event_type::text when 'customer_status_change' then 'old_status' else 'status' end
                as status,
            case event_type::text when 'customer_status_change' then payload_json ->> 'new_status' end as new_status
        from {customer_events}
        where created_at >= %(first)s::timestamptz
            and event_type::text in ('customer_creation', 'customer_status_change', 'customer_deletion')
            and customer_id is not null
    ) as event
    -- A change that does not say what it changed from cannot be undone.
    where event_type <> 'customer_status_change' or status is not null
    window moment as (partition by customer_id order by at)
),

-- Customers whose events have to be looked at together: several in the same
-- microsecond, one that changes nothing, or a deletion. All others have been
-- here ever since they came, and each of their events is a moment of its own.
involved as materialized (
    select distinct customer_id
    from later
    where at = previous_at or status = new_status or event_type = 'customer_deletion'
),

-- Everything that happened to a customer in the same microsecond is one moment:
-- a creation comes first and a deletion last, whatever their order in the table.
moments as (
    select
        customer_id,
        at,
        (array_agg(consumer_id order by event_id))[1] as consumer_id,
        bool_or(event_type = 'customer_creation') as creates,
        bool_or(event_type = 'customer_deletion') as deletes,
        min(status) filter (where event_type = 'customer_creation') as created_as,
        min(status) filter (where event_type = 'customer_deletion') as deleted_as,
        array_agg(status order by event_id)
            filter (where event_type = 'customer_status_change') as olds,
        array_agg(new_status order by event_id)
            filter (where event_type = 'customer_status_change') as news,
        -- Changes that lead back to where they began leave what was, whichever came first.
        array_agg(status order by status) filter (where event_type = 'customer_status_change')
        is not distinct from
        array_agg(new_status order by new_status) filter (where event_type = 'customer_status_change')
            as changes_nothing
    from later
    -- In this form it is looked up, not joined: the rows stay in their order.
    where (customer_id in (select customer_id from involved)) is true
    group by customer_id, at
),

-- What a customer was from the moment before until this one. Of several changes
-- in one moment the first is the one that leaves a status more often than the
-- others arrive at it: the chain's beginning.
spans as (
    select
        customer_id,
        consumer_id,
        creates,
        case
            when creates then created_as
            when changes_nothing then deleted_as
            when cardinality(olds) > 1 then (
                select leaving.status
                from unnest(olds) with ordinality as leaving (status, place)
                order by
                    (
                        (select count(*) from unnest(olds) as o (status) where o.status = leaving.status)
                        > (select count(*) from unnest(news) as n (status) where n.status = leaving.status)
                    ) desc,
                    place
                limit 1
            )
            else olds[1]
        end as status,
        coalesce(width_bucket(lag(at) over moment, %(bounds)s::timestamptz[]), 1) as from_slot,
        width_bucket(at, %(bounds)s::timestamptz[]) as until_slot,
        -- What comes next of the two: undoing a creation leaves nothing to bring back.
        coalesce(
            min(at) filter (where deletes) over later < min(at) filter (where creates) over later,
            bool_or(deletes) over later
        ) as deleted_later,
        max(at) filter (where creates) over (
            partition by customer_id order by at rows between unbounded preceding and 1 preceding
        ) as created_at
    from moments
    where creates or deletes or not changes_nothing
    window
        moment as (partition by customer_id order by at),
        later as (partition by customer_id order by at rows between current row and unbounded following)
),

undone as (
    select
        span.*,
        today.customer_id is not null and today.created_at < %(last)s::timestamptz as is_here,
        today.consumer_id as consumer_today,
        today.status::text as status_today,
        -- The first slot in which today's row existed.
        greatest(width_bucket(today.created_at::timestamptz, %(bounds)s::timestamptz[]), 1) as here_from
    from spans as span
    left join {customers} as today using (customer_id)
    where span.from_slot < span.until_slot
),

-- Customers who are here today, but had another status then: from one slot until
-- another. As the rows have them: what is blank becomes (none) later, where it is
-- asked for less often.
unlike as (
    select consumer_id, status, status_today, from_slot, until_slot
    from (
        select
            consumer_today as consumer_id,
            status,
            status_today,
            greatest(from_slot, here_from) as from_slot,
            until_slot
        from undone
        where is_here
        union all
        select
            today.consumer_id,
            event.status,
            today.status::text,
            greatest(
                width_bucket(greatest(event.previous_at, today.created_at), %(bounds)s::timestamptz[]), 1
            ),
            event.slot
        from later as event
        join {customers} as today using (customer_id)
        where today.created_at < event.at
            and today.created_at < %(last)s::timestamptz
            and event.customer_id not in (select customer_id from involved)
    ) as spans
    where from_slot < until_slot and status is distinct from status_today
),

-- Customers deleted since (or deleted and created again): undoing the deletion
-- brings them back, as far as their creation is not undone too.
gone as (
    select
        customer_id,
        consumer_id,
        status,
        from_slot,
        case when is_here then least(until_slot, here_from) else until_slot end as until_slot,
        created_at
    from undone
    where not creates
        and deleted_later
        and from_slot < case when is_here then least(until_slot, here_from) else until_slot end
),

-- Their creation, from the event that tells of it; where the source was purged of
-- that, as it was remembered.
born as (
    select customer_id, coalesce(max(told_at), max(remembered_at)) as created_at
    from (
        select customer_id, created_at::timestamptz as told_at, null::timestamptz as remembered_at
        from {customer_events}
        where event_type::text = 'customer_creation'
            and created_at < %(first)s::timestamptz
            and customer_id in (select customer_id from gone where created_at is null)
        union all
        select customer_id, null, created_at
        from consumer_analytics_internal.deleted_customers
        where created_at < %(first)s::timestamptz
            and customer_id in (select customer_id from gone where created_at is null)
    ) as births
    group by customer_id
),

-- They come in one slot and go in another.
returned as (
    select
        gone.consumer_id,
        change.slot,
        case when gone.status ~ '\S' then gone.status else '(none)' end as status,
        change.n,
        case when isfinite(birth.at) then change.n end as dated,
        case when isfinite(birth.at) then change.n * (tstzrange_subdiff(birth.at, 'epoch') * 1e6)::bigint end
            as created_us,
        case
            when change.n = 1 and width_bucket(birth.at, %(bounds)s::timestamptz[]) = gone.from_slot then 1
        end as born
    from gone
    left join born using (customer_id)
    cross join lateral (select coalesce(gone.created_at, born.created_at)) as birth (at)
    cross join lateral (values (gone.from_slot, 1), (gone.until_slot, -1)) as change (slot, n)
)
