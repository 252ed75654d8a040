-- What today's rows do not tell of the customers at each of the instants: the beginning of a
-- statement, for those that take it from there. Its results are `unlike` and `returned`.
--
-- bounds is the start of the window, then the instants, ascending. Slot j holds
-- what happened from bound j-1 until bound j, slot 0 what came before.

-- Rows whose time is not their birth: of customers that came back under an old time, whose life
-- began with their return, and those without a time, whose events tell of it.
restored as materialized (
    (
        select distinct on (customer_id)
            today.customer_id,
            today.consumer_id,
            today.status::text as status,
            today.created_at::timestamptz as row_at,
            known.reborn_at as birth
        from {remembered} as known
        join {customers} as today using (customer_id)
        where known.reborn_at is not null
            and today.created_at < known.deleted_at
        order by customer_id, known.deleted_at desc
    )
    {undated}
),

-- Lives that ended at an instant or later. Of a customer whose row is there the last deletion
-- counts only where a creation followed it: the row wins.
ended as materialized (
    select
        life.customer_id,
        life.deleted_at,
        life.consumer_id,
        life.status,
        life.born_from = 'row' as is_of_row,
        case when life.born_from = 'nothing' then null else life.created_at end as birth,
        case when life.reborn_from = 'creation' then life.reborn_at end as next_creation,
        lag(life.deleted_at) over lives_of as previous_end,
        lag(life.reborn_at) over lives_of as opened_at
    from {remembered} as life
    where life.deleted_at >= %(first)s::timestamptz
        and not exists (
            select from {customers} as today
            where today.customer_id = life.customer_id
                and (today.created_at < life.deleted_at or today.created_at is null)
                and life.reborn_at is null
                and not exists (
                    select from {remembered} as later
                    where later.customer_id = life.customer_id and later.deleted_at > life.deleted_at
                )
        )
    window lives_of as (partition by life.customer_id order by life.deleted_at)
),

-- Changes since the first instant, as far as they say what they changed from.
later as materialized (
    select
        event.customer_id,
        event.event_id,
        event.at,
        event.status,
        event.new_status,
        ended.deleted_at as life_until,
        lag(event.at) over moment as previous_at,
        lead(event.at) over moment as next_at
    from (
        select customer_id, event_id, at, old_status as status, new_status
        from {lifecycle} as lifecycle
        where event_type = {customer_status_change} and old_status is not null
    ) as event
    left join ended
        on ended.customer_id = event.customer_id
        and event.at <= ended.deleted_at
        and (ended.previous_end is null or event.at > ended.previous_end)
    window moment as (partition by event.customer_id order by event.at)
),

-- Customers of whom several changes lie in one microsecond.
tied as materialized (
    select distinct customer_id
    from later
    where at = previous_at
),

-- All changes of one microsecond are one step: what was before it.
steps as (
    select customer_id, at, status, life_until, previous_at
    from later
    where (customer_id not in (select customer_id from tied)) is true
    union all
    select
        customer_id,
        at,
        status,
        life_until,
        lag(at) over (partition by customer_id order by at)
    from (
        select
            moment.customer_id,
            moment.at,
            moment.life_until,
            consumer_analytics_internal.chain_start(
                moment.olds,
                moment.news,
                coalesce(
                    lead(moment.olds[1]) over (partition by moment.customer_id, moment.life_until order by moment.at),
                    case when moment.life_until is null then today.status::text else ended.status end,
                    -- A change that names no new status does not lead to a row without one.
                    ''
                )
            ) as status
        from (
            select
                customer_id,
                at,
                life_until,
                array_agg(status order by event_id) as olds,
                array_agg(new_status order by event_id) as news
            from later
            where (customer_id in (select customer_id from tied)) is true
            group by customer_id, at, life_until
        ) as moment
        left join {customers} as today on today.customer_id = moment.customer_id
        left join ended on ended.customer_id = moment.customer_id and ended.deleted_at = moment.life_until
    ) as moments
    where status is not null
),

-- Creation events since the first instant that came later than a birth they belong to.
creations as materialized (
    select customer_id, at, status, life_until
    from (
        select distinct on (customer_id, life_until)
            event.customer_id,
            event.at,
            event.status,
            ended.deleted_at as life_until,
            -- Where no row told the birth of a life that is over, its creation is the birth.
            case
                when ended.customer_id is null then coalesce(restored.birth, today.created_at::timestamptz)
                when ended.is_of_row then ended.birth
            end as birth
        from (
            select customer_id, at, status, event_id
            from {lifecycle} as lifecycle
            where event_type = {customer_creation}
        ) as event
        -- In the microsecond of an end it can begin the next life.
        left join ended
            on ended.customer_id = event.customer_id
            and event.at <= ended.deleted_at
            and (event.at < ended.deleted_at or event.at is distinct from ended.next_creation)
            and (
                ended.previous_end is null
                or event.at > ended.previous_end
                or (event.at = ended.previous_end and event.at = ended.opened_at)
            )
        left join {customers} as today on today.customer_id = event.customer_id
        left join restored on restored.customer_id = today.customer_id
        order by event.customer_id, life_until, event.at, event.event_id
    ) as first_of_life
    where birth < at
        and status is not null
        and width_bucket(at, %(bounds)s::timestamptz[])
        > greatest(width_bucket(birth, %(bounds)s::timestamptz[]), 1)
        and not exists (
            select from later
            where later.customer_id = first_of_life.customer_id
                and later.life_until is not distinct from first_of_life.life_until
        )
),

-- They tell the time from the birth on where no other event of that life does.
told_earlier as materialized (
    select distinct creations.customer_id, creations.at
    from creations
    join {told_events} as event using (customer_id)
    where event.created_at < %(first)s::timestamptz
        and (
            event.event_type::text = {customer_creation}
            or (
                event.event_type::text = {customer_status_change}
                and case when {readable} then payload_json ->> {old_status_key} end is not null
            )
        )
        and not exists (
            select from {remembered} as before
            where before.customer_id = creations.customer_id
                and before.deleted_at < creations.at
                and (
                    before.deleted_at > event.created_at
                    or (
                        before.deleted_at = event.created_at
                        and (
                            event.event_type::text <> {customer_creation}
                            or before.reborn_at is distinct from event.created_at
                        )
                    )
                )
        )
),

all_steps as (
    select customer_id, at, status, life_until, previous_at
    from steps
    union all
    select customer_id, at, status, life_until, null
    from creations
    where (customer_id, at) not in (select customer_id, at from told_earlier)
),

-- Customers who are here today, but had another status then: from one slot until
-- another. As the rows have them: what is blank becomes (none) later, where it is
-- asked for less often. Laid down, so that slots are looked up once.
unlike as materialized (
    select consumer_id, status, status_today, from_slot, until_slot
    from (
        select
            today.consumer_id,
            step.status,
            today.status::text as status_today,
            greatest(
                width_bucket(
                    greatest(step.previous_at, restored.birth, today.created_at::timestamptz),
                    %(bounds)s::timestamptz[]
                ),
                1
            ) as from_slot,
            width_bucket(step.at, %(bounds)s::timestamptz[]) as until_slot
        from all_steps as step
        join {customers} as today using (customer_id)
        left join restored using (customer_id)
        -- Nearly all are: said so that the planner does not take them for few, and look each up.
        where case when step.life_until is null then 1 else 0 end >= 1
            and coalesce(restored.birth, today.created_at) < step.at
            and coalesce(restored.birth, today.created_at) < %(last)s::timestamptz
    ) as spans
    where from_slot < until_slot and status is distinct from status_today
),

-- What those whose life has ended were, from one instant until another.
gone as (
    select
        consumer_id,
        status,
        birth,
        greatest(width_bucket(greatest(from_at, birth), %(bounds)s::timestamptz[]), 1) as from_slot,
        width_bucket(until_at, %(bounds)s::timestamptz[]) as until_slot
    from (
        select
            ended.consumer_id,
            step.status,
            ended.birth,
            case when step.previous_at > ended.previous_end or ended.previous_end is null then step.previous_at end
                as from_at,
            step.at as until_at
        from all_steps as step
        join ended on ended.customer_id = step.customer_id and ended.deleted_at = step.life_until
        union all
        select ended.consumer_id, ended.status, ended.birth, last.at, ended.deleted_at
        from ended
        left join (
            select customer_id, life_until, max(at) as at
            from all_steps
            where life_until is not null
            group by customer_id, life_until
        ) as last
            on last.customer_id = ended.customer_id and last.life_until = ended.deleted_at
    ) as spans
    where coalesce(birth < until_at, true)
),

-- They come in one slot and go in another; who came back is moved to where the life began.
returned as (
    select
        gone.consumer_id,
        change.slot,
        case
            -- Nearly all begin with a letter, which costs less to see.
            when gone.status collate "C" >= '!' and gone.status collate "C" < '~' then gone.status
            when gone.status ~ '\S' then gone.status
            else '(none)'
        end as status,
        change.n,
        case when isfinite(gone.birth) then change.n end as dated,
        case when isfinite(gone.birth) then change.n * (tstzrange_subdiff(gone.birth, 'epoch') * 1e6)::bigint end
            as created_us,
        case
            when change.n = 1 and width_bucket(gone.birth, %(bounds)s::timestamptz[]) = gone.from_slot then 1
        end as born
    from gone
    cross join lateral (values (gone.from_slot, 1), (gone.until_slot, -1)) as change (slot, n)
    where gone.from_slot < gone.until_slot
    union all
    select
        restored.consumer_id,
        greatest(width_bucket(change.at, %(bounds)s::timestamptz[]), 1),
        case when restored.status ~ '\S' then restored.status else '(none)' end,
        change.n,
        case when isfinite(change.at) then change.n end,
        case when isfinite(change.at) then change.n * (tstzrange_subdiff(change.at, 'epoch') * 1e6)::bigint end,
        case when change.at >= (%(bounds)s::timestamptz[])[1] then change.n end
    from restored
    cross join lateral (values (restored.row_at, -1), (restored.birth, 1)) as change (at, n)
    where change.at < %(last)s::timestamptz
)
