-- From one change of status to the next a customer is what the next one says it was; in the last
-- stretch of a life what the row says, or its deletion. As steps at the bounds: so many more from
-- the one, so many less from the other on.
insert into audit_steps (consumer_id, status, place, n, dated, born_us, undated)
with lives as materialized (
    select
        life.customer_id,
        life.consumer_id,
        life.previous_end,
        life.born,
        life.ended,
        life.creation_at,
        life.creation_status,
        isfinite(life.born) is true as is_dated,
        -- Whole microseconds since 2000: those of all the calendar fit.
        case when isfinite(life.born) then ((extract(epoch from life.born) - 946684800) * 1000000)::bigint else 0 end
            as born_us,
        -- Of what a deletion does not tell, and events that have vanished did, there is what is remembered.
        coalesce(
            life.status,
            case when life.lost_until > coalesce(last.at, '-infinity') then life.remembered_as end,
            last.new_status,
            life.created_as,
            ''
        ) as last_status
    from audit_lives as life
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
        where life.status is null
            and mark.customer_id = life.customer_id
            and mark.kind = 'change'
            and mark.old_status is not null
            and mark.new_status is not null
            and mark.at > life.previous_end
            and mark.at <= life.ended
        order by mark.at desc, is_end desc, case when is_end then mark.event_id end, mark.event_id desc
        limit 1
    ) as last on true
    where coalesce(life.born, '-infinity') < life.ended
),

-- Changes that can be read: they say what was before them.
changes as materialized (
    select
        life.customer_id,
        life.ended,
        mark.at,
        -- In the order of their bytes, which no collation changes.
        mark.event_id::text collate "C" as event_id,
        mark.old_status,
        mark.new_status,
        life.last_status,
        count(*) over (partition by life.customer_id, life.ended, mark.at) as together
    from lives as life
    join audit_marks as mark
        on mark.customer_id = life.customer_id
            and mark.at > life.previous_end
            and mark.at <= life.ended
    where mark.kind = 'change' and mark.old_status is not null
),

-- Of several in one microsecond: where their chain begins, which is what none of them led to.
-- Changes that lead back to where they began change nothing.
beginnings as materialized (
    select customer_id, ended, at, said as status, min(event_id) as event_id
    from (
        select customer_id, ended, at, event_id, old_status as said, 1 as more
        from changes
        where together > 1
        union all
        select customer_id, ended, at, null, new_status, -1
        from changes
        where together > 1
    ) as sides
    group by customer_id, ended, at, said
    having sum(more) > 0
),

candidates as not materialized (
    select customer_id, ended, at, old_status as status, event_id, last_status
    from changes
    where together = 1 and old_status is distinct from new_status
    union all
    select beginnings.*, last_status
    from beginnings
    join lives using (customer_id, ended)
),

-- Of several chains the one that ends at what follows it is the last.
last_chains as materialized (
    select distinct on (customer_id, ended, at) customer_id, ended, at, status
    from (
        select
            *,
            coalesce(
                first_value(status) over (
                    partition by customer_id, ended order by at groups between 1 following and 1 following
                ),
                last_status
            ) as follows
        from candidates
        where (customer_id, ended) in (select customer_id, ended from beginnings)
    ) as one
    where (customer_id, ended, at) in (select customer_id, ended, at from beginnings)
    order by
        customer_id,
        ended,
        at,
        exists (
            select
            from changes
            where changes.together > 1
                and changes.customer_id = one.customer_id
                and changes.ended = one.ended
                and changes.at = one.at
                and changes.old_status = one.status
                and changes.new_status = one.follows
        ),
        event_id
),

chosen as materialized (
    select customer_id, ended, at, old_status as status
    from changes
    where together = 1 and old_status is distinct from new_status
    union all
    select customer_id, ended, at, status
    from last_chains
),

stretches as (
    select
        customer_id,
        ended,
        coalesce(lag(at) over (partition by customer_id, ended order by at), '-infinity') as since,
        at as until,
        status
    from chosen
    union all
    select
        customer_id,
        ended,
        case
            when latest.at is not null then latest.at
            when creation_at > born and creation_status is not null then creation_at
            else '-infinity'
        end as since,
        ended as until,
        last_status as status
    from lives
    left join (
        select customer_id, ended, max(at) as at
        from chosen
        group by customer_id, ended
    ) as latest using (customer_id, ended)
    union all
    -- A creation after the birth tells the time between the two, where no change does.
    select customer_id, ended, '-infinity' as since, creation_at as until, creation_status as status
    from lives
    where creation_at > born
        and creation_status is not null
        and not exists (
            select from chosen
            where chosen.customer_id = lives.customer_id and chosen.ended = lives.ended
        )
),

spans as (
    select
        lives.consumer_id,
        case when stretches.status ~ '\S' then stretches.status else '(none)' end as status,
        width_bucket(greatest(stretches.since, lives.born), %(bounds)s::timestamptz[]) + 1 as first_place,
        width_bucket(stretches.until, %(bounds)s::timestamptz[]) + 1 as next_place,
        is_dated::int as dated,
        born_us,
        (lives.born is null)::int as undated
    from stretches
    join lives using (customer_id, ended)
)

select consumer_id, status, place, sum(n), sum(n * dated), sum(n * born_us), sum(n * undated)
from (
    select consumer_id, status, first_place as place, 1 as n, dated, born_us, undated
    from spans
    where first_place < next_place
    union all
    select consumer_id, status, next_place, -1, dated, born_us, undated
    from spans
    where first_place < next_place and next_place <= cardinality(%(bounds)s::timestamptz[])
) as steps
group by consumer_id, status, place
union all
select consumer_id, status, born_place, sum(n), sum(dated), sum(born_us), 0
from audit_uneventful
where born_place <= cardinality(%(bounds)s::timestamptz[])
group by consumer_id, status, born_place
