-- Customers as they stood at each of the run's instants: today's rows with the
-- lifecycle events from an instant on undone.
--
-- bounds is the start of the window, then the instants, ascending. Slot j holds
-- what happened from bound j-1 until bound j, slot 0 what came before; the rows
-- written here are changes, and the figures at instant j are the sum of slots
-- 0 to j.
with later as materialized (
    select
        customer_id,
        consumer_id,
        event_id,
        event_type,
        created_at::timestamptz as at,
        payload_json ->> 'old_status' as old_status,
        payload_json ->> 'new_status' as new_status,
        payload_json ->> 'status' as status
    from {customer_events}
    where created_at >= %(first)s::timestamptz
        and event_type in ('customer_creation', 'customer_status_change', 'customer_deletion')
        and customer_id is not null
        -- A change that does not say what it changed from cannot be undone.
        and (event_type <> 'customer_status_change' or payload_json ->> 'old_status' is not null)
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
        array_agg(old_status order by event_id)
            filter (where event_type = 'customer_status_change') as olds,
        array_agg(new_status order by event_id)
            filter (where event_type = 'customer_status_change') as news,
        -- Changes that lead back to where they began leave what was, whichever came first.
        array_agg(old_status order by old_status) filter (where event_type = 'customer_status_change')
        is not distinct from
        array_agg(new_status order by new_status) filter (where event_type = 'customer_status_change')
            as changes_nothing
    from later
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
        today.status as status_today,
        -- The first slot in which today's row existed.
        greatest(width_bucket(today.created_at::timestamptz, %(bounds)s::timestamptz[]), 1) as here_from
    from spans as span
    left join {customers} as today using (customer_id)
    where span.from_slot < span.until_slot
),

-- Customers who are here today, but had another status then.
restored as (
    select
        consumer_today as consumer_id,
        change.slot,
        change.status,
        change.n
    from undone
    cross join lateral (
        values
            (greatest(from_slot, here_from), status, 1),
            (greatest(from_slot, here_from), status_today, -1),
            (until_slot, status, -1),
            (until_slot, status_today, 1)
    ) as change (slot, status, n)
    where is_here and greatest(from_slot, here_from) < until_slot
),

-- Customers deleted since (or deleted and created anew): undoing the deletion
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
        where event_type = 'customer_creation'
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

returned as (
    select
        gone.consumer_id,
        change.slot,
        gone.status,
        change.n,
        case when isfinite(birth.at) then change.n else 0 end as dated,
        case when isfinite(birth.at) then change.n * (date_part('epoch', birth.at) * 1e6)::bigint else 0 end
            as created_us,
        case
            when change.n = 1 and width_bucket(birth.at, %(bounds)s::timestamptz[]) = gone.from_slot then 1
            else 0
        end as born
    from gone
    left join born using (customer_id)
    cross join lateral (select coalesce(gone.created_at, born.created_at)) as birth (at)
    cross join lateral (values (gone.from_slot, 1), (gone.until_slot, -1)) as change (slot, n)
),

present as materialized (
    select
        consumer_id,
        case
            when created_at < %(last)s::timestamptz then {slot_of_customer}
            else cardinality(%(bounds)s::timestamptz[])
        end as slot,
        status,
        count(*)::int as n,
        (count(*) filter (where isfinite(created_at)))::int as dated,
        coalesce(
            sum((date_part('epoch', created_at) * 1e6)::bigint) filter (where isfinite(created_at)), 0
        ) as created_us,
        count(*) filter (where created_at > now()) as future
    from {customers}
    group by consumer_id, slot, status
),

changes as (
    select consumer_id, slot, status, n, dated, created_us, case when slot > 0 then n else 0 end as born
    from present
    union all
    select consumer_id, slot, status, n, 0, 0, 0
    from restored
    union all
    select consumer_id, slot, status, n, dated, created_us, born
    from returned
),

extracted as (
    insert into {extracted_customers}
        (run_id, consumer_id, slot, status, n, dated, created_us, born)
    select
        %(run_id)s,
        consumer_id,
        slot,
        case when status ~ '\S' then status else '(none)' end,
        sum(n),
        sum(dated),
        sum(created_us),
        sum(born)
    from changes
    where slot < cardinality(%(bounds)s::timestamptz[])
    group by consumer_id, slot, 4
    having sum(n) <> 0 or sum(dated) <> 0 or sum(created_us) <> 0 or sum(born) <> 0
    returning consumer_id, n, born
)

select
    coalesce(sum(n), 0)::bigint as customers,
    coalesce(sum(born), 0)::bigint as new_customers,
    coalesce(sum(n) filter (where consumer_id is null), 0)::bigint as unattributed_customers,
    (select coalesce(sum(future), 0)::bigint from present) as future_customers
from extracted
