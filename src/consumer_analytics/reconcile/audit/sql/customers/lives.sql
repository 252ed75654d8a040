-- The lives of customers of which something has ended, or whose row does not tell their birth. A
-- life ends with a deletion, or when capture saw the row go; a creation after that begins the next.
insert into audit_lives (
    customer_id, consumer_id, opened_at, previous_end, born, ended, status, creation_at, creation_status, created_as,
    remembered_as, lost_until, has_deletion
)
with ended as materialized (
    select distinct customer_id
    from audit_marks
    where kind in ('deletion', 'gone')
),

-- Rows that came back under a time of their own, of lives that a deletion has ended since: what they say
-- begins a life where nothing was open, unless another one has begun and ended after it.
returned as materialized (
    select customer_id, row_at as at
    from (
        select customer_id, customer.created_at::timestamptz as row_at
        from {customers} as customer
        join ended using (customer_id)
    ) as today
    cross join lateral (
        select
            max(at) filter (where kind <> 'creation' and at <= row_at) as end_before,
            max(at) filter (where kind = 'creation' and at <= row_at) as begun_before,
            min(at) filter (where kind = 'creation' and at > row_at) as begun_after,
            max(at) filter (where kind <> 'creation' and at > row_at) as last_end
        from audit_marks as mark
        where mark.customer_id = today.customer_id and kind in ('creation', 'deletion', 'gone')
    ) as around
    where end_before >= coalesce(begun_before, '-infinity')
        and (last_end >= begun_after) is not true
        and last_end is not null
),

-- Several of a kind in one microsecond are one: the first that can tell something tells it.
told as materialized (
    select
        customer_id,
        at,
        kind,
        (array_agg(consumer_id order by event_id) filter (where consumer_id is not null))[1] as consumer_id,
        (array_agg(status order by event_id) filter (where status is not null))[1] as status
    from (
        select customer_id, at, kind, event_id, consumer_id, status
        from audit_marks
        where kind <> 'change'
        union all
        select customer_id, at, 'back', null, null, null
        from returned
    ) as marks
    join ended using (customer_id)
    group by customer_id, at, kind
),

-- A deletion event tells better of an end than the row that went does: the one next to it,
-- before or after, with no return between.
edges as materialized (
    select *, kind in ('deletion', 'gone') as is_end
    from (
        select
            *,
            lag(kind) over beside as before,
            lead(kind) over beside as after
        from told
        window beside as (
            partition by customer_id order by at, case kind when 'gone' then 1 when 'deletion' then 2 else 3 end
        )
    ) as beside
    where kind <> 'gone' or ('deletion' = before or 'deletion' = after) is not true
),

-- In one microsecond an end and a creation leave things as they were before it, whichever comes
-- first: that depends on whether a life was open.
moments as materialized (
    select
        customer_id,
        at,
        count(*) filter (where decided) over (
            partition by customer_id order by at
        ) as place,
        min(at) over (partition by customer_id) as first_at,
        is_both,
        is_open
    from (
        select
            customer_id,
            at,
            bool_or(is_end) and bool_or(not is_end) as is_both,
            bool_or(is_end) is distinct from bool_or(not is_end) as decided,
            case when bool_or(is_end) is distinct from bool_or(not is_end) then not bool_or(is_end) end as is_open
        from edges
        group by customer_id, at
    ) as kinds
),

ordered as materialized (
    select
        edges.*,
        case when moments.is_both and not coalesce(last.is_open, evidence.is_there) then not is_end else is_end end
        as comes_first
    from edges
    join moments using (customer_id, at)
    left join (
        select customer_id, place, bool_or(is_open) as is_open
        from moments
        where place > 0
        group by customer_id, place
    ) as last using (customer_id, place)
    -- Before anything began or ended: whether there is a sign of the customer.
    cross join lateral (
        select
            moments.is_both
            and last.is_open is null
            and (
                exists (
                    select from audit_marks as earlier
                    where earlier.customer_id = edges.customer_id
                        and earlier.at < moments.first_at
                )
                or exists (
                    select from audit_others as other
                    where other.customer_id = edges.customer_id and other.at < moments.first_at
                )
                or exists (
                    select from {customers} as customer
                    where customer.customer_id = edges.customer_id and customer.created_at < moments.first_at
                )
                or exists (
                    select from consumer_analytics_internal.deleted_customers as remembered
                    where remembered.customer_id = edges.customer_id
                        and remembered.deleted_at >= edges.at
                        and remembered.born_from = 'row'
                        and remembered.created_at < moments.first_at
                )
            ) as is_there
    ) as evidence
),

-- An end where nothing was open changes nothing, nor does a creation within a life.
turns as materialized (
    select *
    from (
        select *, lag(is_end) over (partition by customer_id order by at, comes_first desc) as was_end
        from ordered
    ) as sequence
    where case when is_end then was_end is distinct from true else was_end end
),

stretches as materialized (
    select
        customer_id,
        is_end,
        at,
        kind,
        consumer_id,
        status,
        count(*) filter (where is_end) over (partition by customer_id) as ends,
        count(*) filter (where is_end) over (
            partition by customer_id order by at, comes_first desc rows unbounded preceding
        ) as place
    from turns
),

-- Ended lives by their number, each with the end before it and what opened it.
past as materialized (
    select
        ending.customer_id,
        ending.place,
        ending.ends,
        ending.at as ended,
        ending.kind,
        ending.consumer_id,
        ending.status,
        coalesce(
            lag(ending.at) over (partition by ending.customer_id order by ending.place), '-infinity'
        ) as previous_end,
        coalesce(opening.at, '-infinity') as opened_at,
        following.at as next_opened
    from stretches as ending
    left join stretches as opening
        on opening.customer_id = ending.customer_id
            and opening.place = ending.place - 1
            and not opening.is_end
    left join stretches as following
        on following.customer_id = ending.customer_id
            and following.place = ending.place
            and not following.is_end
    where ending.is_end
),

-- Of the customers whose row is there: the life that goes on.
rows as materialized (
    select
        customer.customer_id,
        customer.consumer_id,
        customer.status::text as status,
        customer.created_at::timestamptz as created_at,
        past.ends,
        past.ended as last_end,
        past.previous_end as end_before,
        past.opened_at as opened_before,
        opening.at as opened_after
    from {customers} as customer
    left join past using (customer_id)
    left join stretches as opening
        on opening.customer_id = customer.customer_id
            and opening.place = past.ends
            and not opening.is_end
    where past.place = past.ends or (past.customer_id is null and customer.created_at is null)
),

going_on as materialized (
    select
        customer_id,
        consumer_id,
        status,
        created_at,
        -- A deletion that neither a creation follows nor a later row contradicts the row: it wins.
        is_contradicted,
        case when is_contradicted then end_before else coalesce(last_end, '-infinity') end as previous_end,
        case
            when is_contradicted then opened_before
            else coalesce(opened_after, case when last_end is not null then created_at end, '-infinity')
        end as opened_at
    from (
        select
            *,
            last_end is not null
            and opened_after is null
            and (created_at >= last_end) is not true as is_contradicted
        from rows
    ) as judged
),

-- Events that have vanished, also those that somebody has accepted since: they are counted no more,
-- and what they told is remembered.
gone as materialized (
    select consumer_id, event_type, since, until
    from consumer_analytics_internal.vanished_events
    union all
    select consumer_id, event_type, since, until
    from consumer_analytics_internal.accepted_events
),

-- Consumers of whose events some have: from when on, and whether creations are among them.
affected as materialized (
    select
        coalesce(consumer_id, '00000000-0000-0000-0000-000000000000') as consumer_id,
        min(since) as since,
        bool_or(event_type = {customer_creation}) as without_creations
    from gone
    group by consumer_id
),

every as (
    select
        customer_id,
        null::timestamptz as ended,
        consumer_id,
        status,
        created_at as row_created_at,
        previous_end,
        opened_at,
        null as next_opened,
        null as kind
    from going_on
    union all
    select
        customer_id, ended, consumer_id, status, null, previous_end, opened_at, next_opened, kind
    from past
    where not exists (
        select from going_on
        where going_on.customer_id = past.customer_id and is_contradicted and past.place = past.ends
    )
)

select
    life.customer_id,
    case
        when life.ended is null then life.consumer_id
        when remembered.consumer_from = 'row' then remembered.consumer_id
        when seen.customer_id is not null then seen.consumer_id
        when life.consumer_id is null and owner.has_vanished then remembered.consumer_id
        else coalesce(life.consumer_id, of_lifecycle.consumer_id, of_any.consumer_id)
    end,
    life.opened_at,
    life.previous_end,
    case
        when life.ended is null then
            case
                when life.row_created_at >= life.previous_end then life.row_created_at
                when undated.born_from = 'creation' then least(undated.born_at, creation.at)
                when undated.born_at is not null
                    and coalesce(creation.at, begun.at, nullif(life.opened_at, '-infinity')) is null
                    then least(undated.born_at, first_of_any.at)
                when coalesce(creation.at, begun.at, nullif(life.opened_at, '-infinity'), first_of_any.at) is null
                    and life.row_created_at is null
                    and creations.are_noted
                    then null
                else coalesce(
                    least(creation.at, begun.at), nullif(life.opened_at, '-infinity'), first_of_any.at, 'infinity'
                )
            end
        when remembered.born_from = 'row' and remembered.created_at >= life.previous_end then remembered.created_at
        when seen.created_at >= life.previous_end then seen.created_at
        -- What was worked out once and can no longer be, as events have vanished.
        when (affected.since is not null or teller.has_vanished) and remembered.born_from = 'creation'
            then least(remembered.created_at, creation.at)
        when undated.born_from = 'creation' then least(undated.born_at, creation.at)
        when creation.at is not null then creation.at
        when life.opened_at > '-infinity' then life.opened_at
        when (affected.since is not null or teller.has_vanished) and remembered.born_from in ('event', 'deletion')
            then least(remembered.created_at, first_of_any.at)
        when undated.born_at is not null then least(undated.born_at, first_of_any.at)
        when affected.without_creations then null
        else least(first_of_any.at, life.ended)
    end,
    coalesce(life.ended, 'infinity'),
    case
        when life.ended is null then coalesce(life.status, '')
        when life.kind = 'gone' then coalesce(life.status, remembered.status)
        else life.status
    end,
    creation.at,
    creation.status,
    created.status as created_as,
    case when life.ended is not null then remembered.status end as remembered_as,
    -- Up to when events that told what it was may have vanished.
    case
        when life.ended is not null and life.status is null and remembered.status is not null then (
            select max(least(gone.until, life.ended))
            from gone
            where gone.event_type in ({customer_creation}, {customer_status_change})
                and gone.since < life.ended
                and gone.until > life.previous_end
        )
    end as lost_until,
    coalesce(life.kind = 'deletion', false)
from every as life
left join consumer_analytics_internal.deleted_customers as remembered
    on remembered.customer_id = life.customer_id and remembered.deleted_at = life.ended
-- What its row said when the deletion was taken in, of one that has gone since.
left join consumer_analytics_internal.contradicted_deletions as seen
    on seen.customer_id = life.customer_id
        and seen.deleted_at = life.ended
        and not seen.is_followed
        and not exists (select from {customers} as customer where customer.customer_id = life.customer_id)
left join lateral (
    select mark.at, mark.status
    from audit_marks as mark
    where mark.customer_id = life.customer_id
        and mark.kind = 'creation'
        and mark.at >= greatest(life.previous_end, life.opened_at)
        and mark.at <= coalesce(life.ended, 'infinity')
        -- One in the microsecond of the end can begin the next life.
        and mark.at is distinct from life.next_opened
    order by mark.at, mark.event_id
    limit 1
) as creation on true
-- A creation that has vanished and is remembered: one that comes later moves nothing.
left join lateral (
    select before.reborn_at as at
    from consumer_analytics_internal.deleted_customers as before
    where before.customer_id = life.customer_id
        and before.reborn_at = life.opened_at
        and before.reborn_from = 'creation'
    limit 1
) as begun on true
-- Of several the last one whose status can be read.
left join lateral (
    select mark.status
    from audit_marks as mark
    where mark.customer_id = life.customer_id
        and mark.kind = 'creation'
        and mark.status is not null
        and mark.at >= greatest(life.previous_end, life.opened_at)
        and mark.at <= coalesce(life.ended, 'infinity')
        and mark.at is distinct from life.next_opened
    order by mark.at desc, mark.event_id desc
    limit 1
) as created on true
left join lateral (
    select mark.consumer_id, mark.at
    from audit_marks as mark
    where life.ended is not null
        and life.consumer_id is null
        and mark.customer_id = life.customer_id
        and mark.at <= life.ended
        and mark.consumer_id is not null
    order by mark.at desc, mark.event_id desc
    limit 1
) as of_lifecycle on true
left join lateral (
    select other.consumer_id, other.at
    from audit_others as other
    where life.ended is not null
        and life.consumer_id is null
        and other.customer_id = life.customer_id
        and other.at <= life.ended
        and other.consumer_id is not null
    order by other.at desc
    limit 1
) as of_any on true
left join lateral (
    select min(other.at) as at
    from audit_others as other
    where other.customer_id = life.customer_id
        and other.at >= greatest(life.previous_end, life.opened_at)
        and other.at <= coalesce(life.ended, 'infinity')
) as first_of_any on true
-- What events that are gone told of the birth of one whose row has no time.
left join lateral (
    select known.born_at, known.born_from
    from consumer_analytics_internal.undated_births as known
    where known.customer_id = life.customer_id
        and known.born_at > life.previous_end
        and exists (
            select from gone
            where gone.since <= known.born_at
                and gone.until > known.born_at
                and (known.born_from = 'event' or gone.event_type = {customer_creation})
        )
        and (
            life.ended is null
            or known.born_at < life.ended
            and not exists (select from {customers} as customer where customer.customer_id = life.customer_id)
        )
) as undated on remembered.customer_id is null and life.row_created_at is null
left join lateral (
    select exists (
        select from consumer_analytics_internal.vanished_events as noted
        where noted.event_type = {customer_creation}
            and noted.consumer_id is not distinct from life.consumer_id
    ) as are_noted
) as creations on life.ended is null and life.row_created_at is null
-- Whether what told whose it was may have vanished, and lay nearer to the end than what tells now.
left join lateral (
    select exists (
        select from gone
        where gone.consumer_id = remembered.consumer_id
            and gone.since <= life.ended
            and case remembered.consumer_from
                when 'event'
                    then of_lifecycle.consumer_id is null and gone.until > coalesce(of_any.at, '-infinity')
                else
                    gone.event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
                    and gone.until > coalesce(of_lifecycle.at, '-infinity')
            end
    ) as has_vanished
) as owner on true
left join affected
    on affected.consumer_id
    = coalesce(life.consumer_id, remembered.consumer_id, '00000000-0000-0000-0000-000000000000')
        and affected.since < life.ended
-- Whether what told the birth may have vanished: it can have been another consumer's event.
left join lateral (
    select exists (
        select from gone
        where gone.since <= remembered.created_at and gone.until > remembered.created_at
    ) as has_vanished
) as teller on remembered.born_from in ('creation', 'event')
