-- A customer's markers in time: ends, and what begins a life.
ends as materialized (
    select customer_id, at from told where event_type = {customer_deletion}
    union all
    select customer_id, deleted_at from known
),

markers as materialized (
    select
        customer_id, at, false as begins, event_id, 'event' as by, consumer_id, status, null as row_status,
        null::timestamptz as row_birth
    from told
    where event_type = {customer_deletion}
    union all
    select
        customer_id, deleted_at, false, null,
        -- An event that told of a row's going goes on telling.
        case when row_status is null or (ended_by = 'event' and not is_told and is_vanished) then 'event' else 'row' end,
        consumer_id, status, row_status, case when born_from = 'row' then created_at end
    from known
    where row_status is not null or (not is_told and is_vanished)
    union all
    select customer_id, deleted_at, false, null, 'seen', consumer_id, null, null, created_at
    from seen
    union all
    select customer_id, at, true, event_id, 'creation', null, null, null, null
    from told
    where event_type = {customer_creation}
    union all
    -- Beginnings that only what is remembered tells: of a row that came back without an event.
    select customer_id, reborn_at, true, null, 'row', null, null, null, null
    from known
    where reborn_from = 'row' and ended_by = 'row'
    union all
    select customer_id, began.at, true, null, 'creation', null, null, null, null
    from known
    cross join lateral (
        values
            (case when born_from = 'creation' then created_at end, has_course, has_birth),
            (case when reborn_from = 'creation' then reborn_at end, false, has_return)
    ) as began (at, has_course, is_unjudged)
    where began.at is not null
        and (customer_id, began.at) not in (select customer_id, created_at from known where is_forgotten)
        -- The life that it began tells it better, where that is over.
        and not (is_forgotten and (customer_id, began.at) in (select customer_id, created_at from known))
        and (began.is_unjudged or exists (
            select from lost as vanished
            where vanished.event_type = {customer_creation}
                and vanished.since <= began.at
                and vanished.until > began.at
                and vanished.until <= began.at::date + 1
                and not (vanished.is_accepted and began.has_course)
        ))
    union all
    select customer_id, created_at, true, null, 'creation', null, null, null, null
    from undated
    where born_from = 'creation'
    union all
    -- A row that came back under its old time tells nothing of the life that it had then.
    select customer_id, created_at, true, null, 'birth', null, null, null, null
    from rows_seen
    where (customer_id, deleted_at) not in (
            select customer_id, deleted_at
            from rows_seen
            join ends using (customer_id)
            where at > created_at and at < deleted_at
        )
    union all
    -- A row from after the last end counts as the creation that follows it. A deletion after that end
    -- contradicts the row.
    select customer_id, rows_now.at, true, null, 'today', null, null, null, null
    from rows_now
    join (
        select customer_id, min(ends.at) as at
        from ends
        left join (
            select told.customer_id, max(told.at) as at
            from told
            join (select customer_id, max(at) as at from ends group by customer_id) as last using (customer_id)
            where event_type = {customer_creation} and told.at <= last.at
            group by told.customer_id
        ) as begun using (customer_id)
        where ends.at >= coalesce(begun.at, '-infinity')
        group by customer_id
    ) as first_end using (customer_id)
    where rows_now.at >= first_end.at
)
