-- The ended lives of the customers concerned, from their lifecycle events, what is remembered and the
-- row that is there: put in the place of what was known. What came from a row stands. Answers from
-- when on something else is known of whom.
--
-- A customer's markers in time are deletions and beginnings. A beginning that follows a
-- deletion begins the next life; in one microsecond the deletion comes first. Where no event
-- tells of the end, it is when capture saw the row go.
with {lost_events},

told as materialized (
    select customer_id, event_id, event_type, at, consumer_id, status, old_status, new_status
    from {lifecycle} as lifecycle
    where customer_id in (select customer_id from pg_temp.concerned_customers)
),

rows_now as materialized (
    select customer_id, created_at::timestamptz as at, consumer_id
    from {customers} as customers
    where customer_id in (select customer_id from pg_temp.concerned_customers)
),

{unjudged},

-- Of births that events told while the row had no time, those that tell of a row that is gone.
undated as materialized (
    select customer_id, created_at, born_from
    from (
        select customer_id, born_at as created_at, born_from
        from consumer_analytics_internal.undated_births
        where customer_id in (select customer_id from pg_temp.concerned_customers)
            and customer_id not in (select customer_id from rows_now)
    ) as known
    where ({birth_is_unjudged}) or {birth_is_lost}
),

-- What is known already, but for deletions that were taken back: neither the source has them,
-- nor have they vanished.
remembered as materialized (
    select
        known.*,
        (known.customer_id, known.deleted_at) in (
            select customer_id, at from told where event_type = {customer_deletion}
        ) as is_told,
        -- Hashed, here and below: looked for life by life, all events would be passed over for each.
        (known.customer_id, known.deleted_at) in (
            select customer_id, deleted_at
            from consumer_analytics_internal.deleted_customers
            join told using (customer_id)
            where at > created_at and at < deleted_at
        ) as has_course,
        exists (
            select from consumer_analytics_internal.vanished_events as vanished
            where vanished.event_type = {customer_deletion}
                -- A stretch lies in one day: few are looked at. Without a consumer the day alone is sure.
                and vanished.until > date_trunc('day', known.deleted_at)
                and vanished.until <= known.deleted_at::date + 1
                and (
                    vanished.consumer_id is null
                    or (vanished.since <= known.deleted_at and vanished.until > known.deleted_at)
                )
        ) or known.has_end as is_vanished,
        -- Of a life whose end somebody has accepted nothing is left.
        row_status is null
        and ended_by = 'event'
        and exists (
            select from consumer_analytics_internal.accepted_events as accepted
            where accepted.event_type = {customer_deletion}
                and accepted.since <= known.deleted_at
                and accepted.until > known.deleted_at
                and accepted.until <= known.deleted_at::date + 1
        ) as has_accepted_end
    from unjudged as known
),

known as materialized (
    select *, has_accepted_end and not is_told and not is_vanished as is_forgotten
    from remembered
),

-- What a row said while it contradicted a deletion that is still told. Once it is gone it has told of that
-- life; where it is there, and another life has begun, it tells nothing of the one before.
seen as materialized (
    select customer_id, deleted_at, created_at, consumer_id
    from consumer_analytics_internal.contradicted_deletions
    where customer_id in (select customer_id from pg_temp.concerned_customers)
        and (customer_id, deleted_at) in (select customer_id, at from told where event_type = {customer_deletion})
        and (
            (not is_followed and customer_id not in (select customer_id from rows_now))
            or (customer_id, deleted_at) in (
                select customer_id, deleted_at
                from known
                where 'row' in (born_from, consumer_from)
            )
        )
),

rows_seen as materialized (
    select customer_id, deleted_at, created_at
    from known
    where born_from = 'row'
    union
    select customer_id, deleted_at, created_at
    from seen
    where created_at is not null
),

{life_markers},

-- Both in one microsecond leave things as they were before it.
moments as materialized (
    select
        *,
        count(*) filter (where begins_too <> ends_too) over (partition by customer_id order by at) as place,
        min(at) over (partition by customer_id) as first_at
    from (
        select customer_id, at, bool_or(begins) as begins_too, bool_or(not begins) as ends_too
        from markers
        group by customer_id, at
    ) as kinds
),

-- Where no life was open before a microsecond, its creation comes first in it. Before anything
-- began or ended, any sign of the customer tells that one was.
ordered as materialized (
    select
        marker.*,
        case
            when moment.begins_too and moment.ends_too and not coalesce(
                last.begins_too,
                exists (
                    select from {told_events} as event
                    where event.customer_id = marker.customer_id and event.created_at < moment.first_at
                ) or exists (
                    select from rows_now
                    where rows_now.customer_id = marker.customer_id and rows_now.at < moment.first_at
                )
            ) then not marker.begins
            else marker.begins
        end as place
    from markers as marker
    join moments as moment using (customer_id, at)
    left join moments as last
        on last.customer_id = moment.customer_id
            and last.place = moment.place
            and last.place > 0
            and last.begins_too <> last.ends_too
),

placed as materialized (
    select
        *,
        sum(turns::int) over (partition by customer_id order by at, place, event_id rows unbounded preceding) as life
    from (
        select
            *,
            begins and not lag(begins, 1, true) over (partition by customer_id order by at, place, event_id) as turns
        from ordered
    ) as turning
),

lives as materialized (
    select
        customer_id,
        life,
        coalesce(min(at) filter (where not begins and by = 'event'), min(at) filter (where not begins)) as ended_at,
        case when bool_or(not begins and by = 'event') then 'event' else 'row' end as ended_by,
        -- A creation event tells more than a row that capture saw come back.
        coalesce(min(at) filter (where by = 'creation'), min(at) filter (where begins)) as began_at,
        case when bool_or(by = 'creation') then 'creation' else min(by) filter (where begins) end as began_by,
        -- What the row said of its birth, unless that was before the life: of one that came back.
        (array_agg(row_birth order by at) filter (where row_birth is not null))[1] as row_birth,
        bool_or(row_status is not null or by = 'seen') as has_row,
        (array_agg(row_status order by at desc) filter (where row_status is not null))[1] as row_status,
        (array_agg(consumer_id order by at desc) filter (where row_status is not null or by = 'seen'))[1]
            as row_consumer,
        max(life) over (partition by customer_id) as last_life
    from placed
    group by customer_id, life
),

ended as materialized (
    select
        lives.*,
        lag(ended_at) over lives_of as previous_end,
        lead(began_at) over lives_of as next_began_at,
        lead(began_by) over lives_of as next_began_by
    from lives
    where ended_at is not null or life = last_life
    window lives_of as (partition by customer_id order by life)
),

-- The row of a life that is going on wins over a deletion that no creation follows.
contradicted as materialized (
    select ended.customer_id, ended.ended_at as deleted_at, rows_now.at as created_at, rows_now.consumer_id
    from ended
    join rows_now using (customer_id)
    where ended.ended_at is not null and ended.ended_by = 'event' and ended.life = ended.last_life
),

over as materialized (
    select
        ended.*,
        case
            when row_birth is not null and (previous_end is null or row_birth >= previous_end) then row_birth
            when began_at <= ended_at then began_at
        end as birth,
        case
            when row_birth is not null and (previous_end is null or row_birth >= previous_end) then 'row'
            when began_at <= ended_at then case when began_by = 'creation' then 'creation' else 'row' end
        end as birth_from
    from ended
    where ended_at is not null
        and not (life = last_life and exists (select from rows_now where rows_now.customer_id = ended.customer_id))
),

{last_words},

-- Other events are read only where no lifecycle event tells enough.
others as materialized (
    select
        over.customer_id,
        over.life,
        min(event.created_at)::timestamptz as first_at,
        (
            array_agg(event.consumer_id order by event.created_at desc, event.event_id desc)
                filter (where event.consumer_id is not null)
        )[1] as consumer_id,
        max(event.created_at) filter (where event.consumer_id is not null)::timestamptz as told_at
    from over
    left join last_words using (customer_id, life)
    join {told_events} as event on event.customer_id = over.customer_id and event.created_at <= over.ended_at
    where over.birth_from is null
        or not (has_row or coalesce(last_words.consumer_id, last_words.lifecycle_consumer) is not null)
    group by over.customer_id, over.life
),

true_now as materialized (
    select
        over.customer_id,
        over.ended_at as deleted_at,
        over.ended_by,
        case
            when birth_from is not null then birth
            when first.at < over.ended_at then first.at
            when creations.consumer_id is null then over.ended_at
        end as created_at,
        case
            when birth_from is not null then birth_from
            when first.at < over.ended_at then 'event'
            when creations.consumer_id is null then 'deletion'
            else 'nothing'
        end as born_from,
        owner.consumer_id,
        case
            when has_row then 'row'
            when last_words.consumer_id is not null then 'deletion'
            when lifecycle_consumer is not null then 'lifecycle'
            when others.consumer_id is not null then 'event'
            else 'nothing'
        end as consumer_from,
        case when lifecycle_consumer is not null then lifecycle_at else coalesce(others.told_at, '-infinity') end
            as consumer_at,
        over.previous_end,
        -- From when on something else may have told the status; NULL: it is told by what is best.
        case
            when last_words.status is null and (ended_by = 'event' or row_status is null)
                then coalesce(changed_at, '-infinity')
        end as status_at,
        -- What a row said counts where no event tells of the end: whether capture is on changes nothing.
        coalesce(last_words.status, case when ended_by = 'row' then row_status end, led_to.status, new_status, created_as)
        as status,
        row_status,
        next_began_at as reborn_at,
        case next_began_by when 'creation' then 'creation' when 'row' then 'row' end as reborn_from
    from over
    left join last_words using (customer_id, life)
    left join led_to using (customer_id, life)
    left join others using (customer_id, life)
    left join undated
        on undated.customer_id = over.customer_id
            and undated.created_at > coalesce(previous_end, '-infinity')
    cross join lateral (select least(others.first_at, undated.created_at) as at) as first
    cross join lateral (
        select
            case
                when has_row then row_consumer
                else coalesce(last_words.consumer_id, lifecycle_consumer, others.consumer_id)
            end as consumer_id
    ) as owner
    left join (
        select distinct coalesce(consumer_id, '00000000-0000-0000-0000-000000000000') as consumer_id
        from consumer_analytics_internal.vanished_events
        where event_type = {customer_creation}
    ) as creations
        on creations.consumer_id = coalesce(owner.consumer_id, '00000000-0000-0000-0000-000000000000')
),

-- What was found once stays, where nothing but the absence of events speaks against it.
-- What events say that a customer was, and from when on.
words as materialized (
    select told.customer_id, coalesce(word.status, '') as status, min(told.at) as at
    from told
    cross join lateral (values (told.status), (told.new_status)) as word (status)
    where told.customer_id in (select customer_id from known where has_words)
    group by told.customer_id, coalesce(word.status, '')
),

kept as materialized (
    select
        true_now.customer_id,
        true_now.deleted_at,
        true_now.ended_by,
        case when stays.birth then known.created_at else true_now.created_at end as created_at,
        case when stays.birth then known.born_from else true_now.born_from end as born_from,
        case when stays.consumer then known.consumer_id else true_now.consumer_id end as consumer_id,
        case when stays.consumer then known.consumer_from else true_now.consumer_from end as consumer_from,
        case when stays.status then known.status else true_now.status end as status,
        true_now.row_status,
        coalesce(true_now.reborn_at, case when known.reborn_from = 'row' then known.reborn_at end) as reborn_at,
        coalesce(true_now.reborn_from, case when known.reborn_from = 'row' then 'row' end) as reborn_from
    from true_now
    left join known using (customer_id, deleted_at)
    left join words as said_once on said_once.customer_id = known.customer_id and said_once.status = known.status
    cross join lateral ({stays}) as stays
),

gone as (
    delete from consumer_analytics_internal.deleted_customers as old
    using (
        select customer_id, deleted_at
        from known
        -- Hashed, whatever the planner thinks of their number.
        where (customer_id, deleted_at) not in (select customer_id, deleted_at from kept)
    ) as undone
    where old.customer_id = undone.customer_id and old.deleted_at = undone.deleted_at
    returning old.customer_id, old.created_at, old.consumer_id
),

put as (
    insert into consumer_analytics_internal.deleted_customers as old (
        customer_id, deleted_at, ended_by, created_at, born_from, consumer_id, consumer_from,
        status, row_status, reborn_at, reborn_from
    )
    select
        kept.customer_id, kept.deleted_at, kept.ended_by, kept.created_at, kept.born_from, kept.consumer_id,
        kept.consumer_from, kept.status, kept.row_status, kept.reborn_at, kept.reborn_from
    from kept
    left join known using (customer_id, deleted_at)
    where (
        known.customer_id, known.ended_by, known.created_at, known.born_from, known.consumer_id,
        known.consumer_from, known.status, known.row_status, known.reborn_at, known.reborn_from
    ) is distinct from (
        kept.customer_id, kept.ended_by, kept.created_at, kept.born_from, kept.consumer_id,
        kept.consumer_from, kept.status, kept.row_status, kept.reborn_at, kept.reborn_from
    )
    -- In one order, so that two who remember the same wait for each other in turn.
    order by customer_id, deleted_at
    on conflict (customer_id, deleted_at) do update
    set ended_by = excluded.ended_by,
        created_at = excluded.created_at,
        born_from = excluded.born_from,
        consumer_id = excluded.consumer_id,
        consumer_from = excluded.consumer_from,
        status = excluded.status,
        row_status = excluded.row_status,
        reborn_at = excluded.reborn_at,
        reborn_from = excluded.reborn_from
    returning 1
),

-- What the row says while it is there: nobody may see it go.
noted as (
    insert into consumer_analytics_internal.contradicted_deletions as old
        (customer_id, deleted_at, created_at, consumer_id)
    select customer_id, deleted_at, created_at, consumer_id
    from contradicted
    order by customer_id, deleted_at
    on conflict (customer_id, deleted_at) do update
    set created_at = excluded.created_at, consumer_id = excluded.consumer_id, is_followed = false
    where (old.created_at, old.consumer_id, old.is_followed)
        is distinct from (excluded.created_at, excluded.consumer_id, false)
),

followed as (
    update consumer_analytics_internal.contradicted_deletions
    set is_followed = true
    where not is_followed
        and customer_id in (select customer_id from rows_now)
        and (customer_id, deleted_at) not in (select customer_id, deleted_at from contradicted)
        and (customer_id, deleted_at) not in (select customer_id, deleted_at from seen)
)

-- From when on the past of those who were known, or are there, is another one; of those whom nobody knew.
select
    (
        select min(case when known.deleted_at is null then deleted_at else least(known.created_at, kept.created_at) end)
        from kept
        left join known using (customer_id, deleted_at)
        where case
            when known.deleted_at is null then customer_id in (select customer_id from rows_now)
            else known.born_from is not null
                and (known.created_at, known.consumer_id, known.status)
                is distinct from (kept.created_at, kept.consumer_id, kept.status)
        end
    ) as changed_from,
    (select min(coalesce(created_at, '-infinity')) from gone) as taken_back_from,
    (select count(*) from put) as lives
