-- Which types of events without a consumer have vanished in which stretch of a day no snapshot
-- tells: known are how many of each stretch, and how many of each type. Where one comes back to a
-- stretch that is noted under other types, while its own type is noted elsewhere in the day, the
-- notes of that day are divided anew: as many of each stretch and type, what came back first.
-- Lifecycle events stay where they are: customers hang on when they were.
with days as materialized (
    select distinct since::date as day
    from event_placed
    where sign = -1 and consumer_id is null
),

noted as materialized (
    select
        event_type,
        since,
        until,
        since::date as day,
        n,
        least(n, came_back) as settled,
        greatest(n - came_back, 0) as room
    from consumer_analytics_internal.vanished_events
    where consumer_id is null
        and since::date in (select day from days)
        and event_type not in ({customer_creation}, {customer_status_change}, {customer_deletion})
),

of_types as (
    select day, event_type, sum(room) as room
    from noted
    group by day, event_type
),

of_stretches as (
    select day, since, until, sum(room) as room
    from noted
    group by day, since, until
),

came as materialized (
    select
        placed.event_type,
        stretch.day,
        stretch.since,
        stretch.until,
        placed.n,
        stretch.own_room,
        of_types.room as of_type,
        of_stretches.room as of_stretch
    from event_placed as placed
    cross join lateral (
        select day, since, until, sum(room) filter (where event_type = placed.event_type) as own_room
        from noted
        where since >= placed.since and until <= placed.until and room > 0
        group by day, since, until
        order by own_room desc nulls last, since
        limit 1
    ) as stretch
    join of_types on of_types.day = stretch.day and of_types.event_type = placed.event_type
    join of_stretches on of_stretches.since = stretch.since and of_stretches.until = stretch.until
    where placed.sign = -1 and placed.consumer_id is null
),

divided as materialized (
    select distinct day
    from came
    where n > coalesce(own_room, 0) and of_type > coalesce(own_room, 0) and of_stretch > coalesce(own_room, 0)
),

within_types as (
    select
        *,
        greatest(
            least(n, of_type - sum(n) over (partition by day, event_type order by since) + n),
            0
        ) as fits
    from came
    where day in (select day from divided)
),

first as materialized (
    select
        day,
        event_type,
        since,
        until,
        greatest(
            least(fits, of_stretch - sum(fits) over (partition by since, until order by event_type) + fits),
            0
        ) as n
    from within_types
),

left_of_types as (
    select
        day,
        event_type,
        sum(room) over (partition by day order by event_type) - room as begins,
        sum(room) over (partition by day order by event_type) as ends
    from (
        select day, event_type, sum(room) as room
        from (
            select day, event_type, room
            from of_types
            union all
            select day, event_type, -n
            from first
        ) as rooms
        where day in (select day from divided)
        group by day, event_type
    ) as left_over
),

left_of_stretches as (
    select
        day,
        since,
        until,
        sum(room) over (partition by day order by since, until) - room as begins,
        sum(room) over (partition by day order by since, until) as ends
    from (
        select day, since, until, sum(room) as room
        from (
            select day, since, until, room
            from of_stretches
            union all
            select day, since, until, -n
            from first
        ) as rooms
        where day in (select day from divided)
        group by day, since, until
    ) as left_over
),

anew as materialized (
    select event_type, since, until, sum(n)::bigint as n
    from (
        select event_type, since, until, settled as n
        from noted
        where day in (select day from divided)
        union all
        select event_type, since, until, n
        from first
        union all
        select
            types.event_type,
            stretches.since,
            stretches.until,
            least(types.ends, stretches.ends) - greatest(types.begins, stretches.begins)
        from left_of_types as types
        join left_of_stretches as stretches using (day)
        where least(types.ends, stretches.ends) > greatest(types.begins, stretches.begins)
    ) as parts
    group by event_type, since, until
),

emptied as (
    delete from consumer_analytics_internal.vanished_events as noted
    using anew
    where noted.consumer_id is null
        and noted.event_type = anew.event_type
        and noted.since = anew.since
        and noted.until = anew.until
        and anew.n = 0
)

insert into consumer_analytics_internal.vanished_events as noted
    (consumer_id, event_type, since, until, n, noted_by)
select null, event_type, since, until, n, %(by)s
from anew
where n > 0
on conflict (consumer_id, event_type, since, until) do update
set n = excluded.n
where noted.n <> excluded.n
