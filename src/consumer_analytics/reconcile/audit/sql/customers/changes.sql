-- From one change of status to the next a customer is what the next one says it was; in the last
-- stretch of a life what the row says, or its deletion. What changes at the bounds, by consumer and
-- place, and for all consumers together: so many more, a column for each of some statuses.
with lives as materialized (
    select
        row_number() over () as life,
        customer_id,
        consumer_id,
        previous_end,
        born,
        ended,
        born_place,
        end_place,
        creation_at,
        creation_status,
        isfinite(born) is true as is_dated,
        -- Whole microseconds since 2000: those of all the calendar fit.
        case when isfinite(born) then ((extract(epoch from born) - 946684800) * 1000000)::bigint else 0 end
            as born_us,
        -- Of what a deletion does not tell, and events that have vanished did, there is what is remembered.
        coalesce(
            placed.status,
            case when lost_until > coalesce(last.at, '-infinity') then remembered_as end,
            last.new_status,
            created_as,
            ''
        ) as last_status
    from (
        select
            *,
            -- The first of the bounds at which it exists, and at which it does no more.
            width_bucket(coalesce(born, '-infinity'), %(bounds)s::timestamptz[]) + 1 as born_place,
            width_bucket(ended, %(bounds)s::timestamptz[]) + 1 as end_place
        from audit_lives
        offset 0
    ) as placed
    -- Of several in one microsecond the one that none of them leads on from.
    left join lateral (
        select mark.new_status, mark.at
        from audit_marks as mark
        cross join lateral (
            select count(*) filter (where beside.new_status = mark.new_status)
                > count(*) filter (where beside.old_status = mark.new_status) as is_end
            from audit_marks as beside
            where beside.customer_id = mark.customer_id
                and beside.at = mark.at
                and beside.kind = 'change'
                and beside.old_status is not null
        ) as chain
        where placed.status is null
            and mark.customer_id = placed.customer_id
            and mark.kind = 'change'
            and mark.old_status is not null
            and mark.new_status is not null
            -- One at -infinity is of the first life, here and below.
            and mark.at >= placed.previous_end
            and (mark.at > placed.previous_end or mark.at = '-infinity')
            and mark.at <= placed.ended
        order by mark.at desc, is_end desc, case when is_end then mark.event_id end, mark.event_id desc
        limit 1
    ) as last on true
    where born_place < end_place
),

together as materialized (
    select customer_id, at
    from audit_marks
    where kind = 'change' and old_status is not null
    group by customer_id, at
    having count(*) > 1
),

-- Changes that can be read: they say what was before them.
changes as materialized (
    select
        lives.life,
        mark.at,
        mark.event_id,
        mark.old_status,
        mark.new_status,
        lives.last_status,
        (mark.customer_id, mark.at) in (select customer_id, at from together) as is_together
    from lives
    join audit_marks as mark
        on mark.customer_id = lives.customer_id
            and mark.at >= lives.previous_end
            and (mark.at > lives.previous_end or mark.at = '-infinity')
            and mark.at <= lives.ended
    where mark.kind = 'change' and mark.old_status is not null
),

-- Of several in one microsecond: where their chain begins, which is what none of them led to.
-- Changes that lead back to where they began change nothing.
beginnings as materialized (
    -- In the order of their bytes, which no collation changes.
    select life, at, said as status, min(event_id::text collate "C") as event_id
    from (
        select life, at, event_id, old_status as said, 1 as more
        from changes
        where is_together
        union all
        select life, at, null, new_status, -1
        from changes
        where is_together
    ) as sides
    group by life, at, said
    having sum(more) > 0
),

candidates as not materialized (
    select life, at, old_status as status, null as event_id, last_status
    from changes
    where not is_together
    union all
    select life, at, status, event_id, last_status
    from beginnings
    join lives using (life)
),

-- Of several chains the one that ends at what follows it is the last.
last_chains as materialized (
    select distinct on (life, at) life, at, status
    from (
        select
            *,
            coalesce(
                first_value(status) over (partition by life order by at groups between 1 following and 1 following),
                last_status
            ) as follows
        from candidates
        where life in (select life from beginnings)
    ) as one
    where (life, at) in (select life, at from beginnings)
    order by
        life,
        at,
        exists (
            select
            from changes
            where changes.is_together
                and changes.life = one.life
                and changes.at = one.at
                and changes.old_status = one.status
                and changes.new_status = one.follows
        ),
        event_id
),

-- What each of them ends, and what comes after.
turns as materialized (
    select
        life,
        at,
        status,
        lead(status) over in_order as next_status,
        lag(at) over in_order is null as is_first
    from (
        select life, at, old_status as status
        from changes
        where not is_together
        union all
        select life, at, status
        from last_chains
    ) as chosen
    window in_order as (partition by life order by at)
),

moves as not materialized (
    select
        consumer_id,
        greatest(width_bucket(at, %(bounds)s::timestamptz[]) + 1, born_place) as place,
        -- It moves none of these: sums pass over NULLs.
        null::int as n,
        null::int as dated,
        null::bigint as born_us,
        null::int as undated,
        status as gone,
        coalesce(next_status, last_status) as come
    from turns
    join lives using (life)
    union all
    select
        lives.consumer_id,
        step.place,
        step.n,
        step.n * is_dated::int,
        step.n * born_us,
        step.n * (born is null)::int,
        step.gone,
        step.come
    from lives
    left join turns as opening on opening.life = lives.life and is_first
    -- Also those that changed nothing say otherwise.
    left join (select distinct life from changes where is_together) as changed on changed.life = lives.life
    cross join lateral (
        select
            opening.life is null
            and changed.life is null
            and creation_at > born
            and creation_status is not null as is_told
    ) as creation
    cross join lateral (
        select
            born_place as place,
            1 as n,
            null as gone,
            case when opening.life is not null then opening.status when is_told then creation_status else last_status end
                as come
        union all
        -- A creation after the birth tells the time between the two, where no change does.
        select
            greatest(width_bucket(creation_at, %(bounds)s::timestamptz[]) + 1, born_place),
            null,
            creation_status,
            last_status
        where is_told
        union all
        select end_place, -1, last_status, null
    ) as step
),

-- How many come to be what, and are it no more.
counted as materialized (
    select
        consumer_id,
        place,
        n,
        dated,
        born_us,
        undated,
        1::bigint as moving,
        -- What begins with a printed character is not blank: that is known without a search.
        case when ascii(gone) between 33 and 126 or gone ~ '\S' then gone when gone is not null then '(none)' end as gone,
        case when ascii(come) between 33 and 126 or come ~ '\S' then come when come is not null then '(none)' end as come
    from moves
    where place <= cardinality(%(bounds)s::timestamptz[])
    union all
    select consumer_id, born_place, n, dated, born_us, 0, n, null, status
    from audit_uneventful
    where born_place <= cardinality(%(bounds)s::timestamptz[])
),

rest as (
    insert into audit_steps (consumer_id, status, place, n)
    select consumer_id, status, place, sum(n)
    from (
        select consumer_id, come as status, place, moving as n
        from counted
        where come is not null and come <> all(%(statuses)s::text[])
        union all
        select consumer_id, gone, place, -moving
        from counted
        where gone is not null and gone <> all(%(statuses)s::text[])
    ) as steps
    group by consumer_id, status, place
    having sum(n) <> 0
),

sums as materialized (
    select
        consumer_id,
        place,
        pg_temp.audit_sum(n) as customers,
        pg_temp.audit_sum(dated) as dated,
        coalesce(sum(born_us), 0) as born_us,
        pg_temp.audit_sum(undated) as undated
        {pivoted}
    from counted
    group by consumer_id, place
)

insert into audit_changes (is_whole, consumer_id, place, customers, dated, born_us, undated {columns})
select false as is_whole, consumer_id, place, customers, dated, born_us, undated {columns}
from sums
union all
select
    true,
    null,
    place,
    pg_temp.audit_sum(customers),
    pg_temp.audit_sum(dated),
    sum(born_us),
    pg_temp.audit_sum(undated)
    {summed}
from sums
where consumer_id is not null
group by place
order by place
