-- The births of customers whose row has no time, as their events tell them, and as they are remembered
-- where what told them has vanished, or nobody has judged yet where it is: put in the place of what
-- was known. Of a creation event before any other, as of a life that is over.
with {lost_events},

undated as materialized (
    select today.customer_id, coalesce(ended.deleted_at, '-infinity') as previous_end, ended.reborn_at
    from {customers} as today
    -- Looked up for each: few have no time, and of all customers many may have ended.
    left join lateral (
        select deleted_at, reborn_at
        from consumer_analytics_internal.deleted_customers as life
        where life.customer_id = today.customer_id and life.reborn_at is not null
        order by deleted_at desc
        limit 1
    ) as ended on true
    where (select 'customers' in ({maybe_undated})) and today.created_at is null
),

told as materialized (
    select
        undated.customer_id,
        min(event.created_at) filter (where event.event_type::text = {customer_creation})::timestamptz as creation_at,
        min(event.created_at)::timestamptz as first_at
    from undated
    join {told_events} as event using (customer_id)
    -- Where nothing has ended, one at -infinity tells it, too; one creation can begin as another life ends.
    where event.created_at > undated.previous_end
        or undated.previous_end = '-infinity'
        or (event.created_at = undated.reborn_at and event.event_type::text = {customer_creation})
    group by undated.customer_id
),

changes_seen as materialized (
    select note.customer_id, note.event_at::date as day
    from consumer_analytics_internal.touched_customers as note
    join undated using (customer_id)
    where exists (
        select from {told_events} as event
        where event.customer_id = note.customer_id and event.created_at = note.event_at
    )
),

known as materialized (
    select customer_id, born_at as created_at, born_from
    from undated
    join consumer_analytics_internal.undated_births as known using (customer_id)
    where known.born_at > undated.previous_end
        or undated.previous_end = '-infinity'
        or known.born_at = undated.reborn_at
),

stays as (
    select known.customer_id, known.created_at, known.born_from
    from known
    where {is_lost}
    or (
        {is_unjudged}
        -- What is there still tells what it can tell.
        and not exists (
            select from {told_events} as event
            where event.customer_id = known.customer_id and event.created_at = known.created_at
        )
    )
),

births as materialized (
    select
        undated.customer_id,
        case
            when told.creation_at is not null or stays.born_from = 'creation'
                then least(told.creation_at, case when stays.born_from = 'creation' then stays.created_at end)
            else least(told.first_at, stays.created_at)
        end as born_at,
        case
            when told.creation_at is not null or stays.born_from = 'creation' then 'creation'
            else 'event'
        end as born_from
    from undated
    left join told using (customer_id)
    left join stays using (customer_id)
),

forgotten as (
    delete from consumer_analytics_internal.undated_births as old
    using births
    where old.customer_id = births.customer_id and births.born_at is null
)

insert into consumer_analytics_internal.undated_births as old (customer_id, born_at, born_from)
select births.customer_id, births.born_at, births.born_from
from births
left join consumer_analytics_internal.undated_births as known using (customer_id)
where births.born_at is not null
    and (known.born_at, known.born_from) is distinct from (births.born_at, births.born_from)
-- In one order, so that two who remember the same wait for each other in turn.
order by births.customer_id
on conflict (customer_id) do update
set born_at = excluded.born_at,
    born_from = excluded.born_from
