-- In which stretch of its day each of them lies. Where no reported instant cuts the day, in the
-- day. Where one does, what was counted before it follows from the snapshot that was reported, and
-- what is left of that from the source: the difference is what is gone of the stretch. Rows
-- without a consumer are reported without their types, so that all types share one difference.
create temporary table event_placed on commit drop as
with judged as materialized (
    select *, case when consumer_id is null then '' else event_type end as kind
    from event_judged
),

days as materialized (
    select distinct day
    from judged
    where isfinite(day)
),

reach as materialized (
    select processed_through
    from consumer_analytics_internal.state
    where job_name = {job}
),

cuts as materialized (
    select days.day, snapshot.snapshot_timestamp as at
    from days
    join public.consumer_analytics as snapshot
        on snapshot.consumer_id is null
        and snapshot.snapshot_timestamp > days.day::timestamptz
        and snapshot.snapshot_timestamp < (days.day + 1)::timestamptz
    union
    -- Nothing was counted after it.
    select days.day, processed_through
    from days
    join reach on processed_through > days.day::timestamptz and processed_through < (days.day + 1)::timestamptz
),

stretches as materialized (
    select day, since, until
    from (
        select day, at as since, lead(at) over (partition by day order by at) as until
        from (
            select day, at
            from cuts
            union
            select distinct cuts.day, side.at
            from cuts
            cross join lateral (values (cuts.day::timestamptz), ((cuts.day + 1)::timestamptz)) as side (at)
        ) as points
    ) as between_points
    where until is not null
),

groups as materialized (
    select distinct owner, consumer_id, kind, day
    from judged
    where day in (select day from cuts)
),

counted_before as (
    select groups.owner, groups.kind, groups.day, sum(totals.n) as n
    from groups
    join (
        select
            coalesce(consumer_id::text, '') as owner,
            case when consumer_id is null then '' else event_type end as kind,
            null::date as day,
            n
        from consumer_analytics_internal.event_totals
        union all
        select coalesce(consumer_id::text, ''), case when consumer_id is null then '' else event_type end, day, -n
        from consumer_analytics_internal.event_days
        where day >= (select min(day) from groups)
    ) as totals
        on totals.owner = groups.owner and totals.kind = groups.kind
        and (totals.day is null or totals.day >= groups.day)
    group by 1, 2, 3
),

counted_on as (
    select
        coalesce(consumer_id::text, '') as owner,
        case when consumer_id is null then '' else event_type end as kind,
        day,
        sum(n) as n
    from consumer_analytics_internal.event_days
    where day in (select day from groups)
    group by 1, 2, 3
),

held as (
    select stretches.day, stretches.since, rows.owner, rows.kind, rows.n
    from stretches
    cross join reach
    cross join lateral (
        select
            coalesce(consumer_id::text, '') as owner,
            case when consumer_id is null then '' else {event_type_name} end as kind,
            {events_there} as n
        from {customer_events} as customer_events
        where created_at >= stretches.since and created_at < least(stretches.until, reach.processed_through)
        group by 1, 2
    ) as rows
),

noted as (
    select
        stretches.day,
        stretches.since,
        coalesce(consumer_id::text, '') as owner,
        case when consumer_id is null then '' else event_type end as kind,
        sum(n) as n
    from stretches
    join consumer_analytics_internal.vanished_events as vanished
        on vanished.since >= stretches.since and vanished.since < stretches.until
    group by 1, 2, 3, 4
),

reached as (
    select
        groups.owner,
        groups.kind,
        stretches.day,
        stretches.since,
        stretches.until,
        coalesce(counted_before.n, 0) as before,
        max(
            case
                when whole.snapshot_timestamp is null
                    then coalesce(counted_before.n, 0) + coalesce(counted_on.n, 0)
                else least(
                    greatest(coalesce(told.n, 0), coalesce(counted_before.n, 0)),
                    coalesce(counted_before.n, 0) + coalesce(counted_on.n, 0)
                )
            end
        ) over so_far as counted
    from groups
    join stretches using (day)
    left join counted_before using (owner, kind, day)
    left join counted_on using (owner, kind, day)
    left join public.consumer_analytics as whole
        on whole.consumer_id is null
        and whole.snapshot_timestamp = stretches.until
        and stretches.until < (stretches.day + 1)::timestamptz
    left join public.consumer_analytics as own
        on own.consumer_id = groups.consumer_id and own.snapshot_timestamp = stretches.until
    cross join lateral (
        select
            case
                when groups.consumer_id is null then whole.metrics_json ->> 'unattributed_events'
                else own.metrics_json -> 'events_by_type' ->> groups.kind
            end as text
    ) as said
    cross join lateral (select case when said.text ~ '^\d{{1,18}}$' then said.text::bigint end as n) as told
    window so_far as (partition by groups.owner, groups.kind, stretches.day order by stretches.until)
),

room as (
    select
        *,
        sum(n) over so_far - n as begins,
        -- What does not fit anywhere comes last.
        case
            when sign = 1 and row_number() over backwards = 1 then 'infinity'::numeric
            else sum(n) over so_far
        end as ends
    from (
        select
            reached.owner,
            reached.kind,
            reached.day,
            reached.since,
            reached.until,
            signs.sign,
            case
                when signs.sign = -1 and noted.n is null then 0
                else greatest(
                    signs.sign * (
                        reached.counted
                        - coalesce(lag(reached.counted) over following, reached.before)
                        - coalesce(noted.n, 0)
                        - coalesce(held.n, 0)
                    ),
                    0
                )
            end as n
        from reached
        cross join (values (1), (-1)) as signs (sign)
        left join noted using (owner, kind, day, since)
        left join held using (owner, kind, day, since)
        window following as (partition by reached.owner, reached.kind, reached.day, signs.sign order by reached.until)
    ) as spaces
    window
        so_far as (partition by owner, kind, day, sign order by until),
        backwards as (partition by owner, kind, day, sign order by until desc)
),

sought as (
    select
        *,
        sum(n) over so_far - n as begins,
        sum(n) over so_far as ends
    from judged
    window so_far as (partition by owner, kind, day, sign order by event_type)
)

select
    consumer_id,
    event_type,
    room.since,
    room.until,
    (least(sought.ends, room.ends) - greatest(sought.begins, room.begins))::bigint as n,
    sign
from sought
join room using (owner, kind, day, sign)
where least(sought.ends, room.ends) > greatest(sought.begins, room.begins)
union all
select
    consumer_id,
    event_type,
    day::timestamptz,
    case when isfinite(day) then (day + 1)::timestamptz else '4714-11-24 00:00:00+00 BC' end,
    n,
    sign
from judged
where day not in (select day from cuts)
