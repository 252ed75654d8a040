-- Whether what waits to be told can be added to the rows that are there: each is as it was written, in
-- the whole system's window, and says, with what is added, what the counts say of its consumer.
with asked as materialized (
    select consumer_id, snapshot_timestamp as at, by_type, total
    from pg_temp.untold_rows
    where consumer_id is not null and is_sure
),

consumers as materialized (
    select consumer_id, min(at)::date as first_day
    from asked
    group by consumer_id
),

-- Days that an instant cuts: of these the source tells what came before it.
cut_days as materialized (
    select distinct at::date as day
    from asked
    where at <> at::date::timestamptz
),

totals as materialized (
    select consumer_id, event_type, n
    from consumer_analytics_internal.event_totals
    where consumer_id in (select consumer_id from consumers)
),

-- What came at each instant or later is not in it. A look for each day: no index begins with the consumer.
moments as (
    select consumers.consumer_id, counted.event_type, counted.day::timestamptz as at, counted.n, false as is_asked
    from consumers
    cross join generate_series(0, %(last_day)s::date - consumers.first_day) as place
    cross join lateral (
        select event_type, day, n
        from consumer_analytics_internal.event_days
        where day = consumers.first_day + place
            and consumer_id = consumers.consumer_id
            and day not in (select day from cut_days)
        -- Not to be joined otherwise, which would read all days of all consumers.
        offset 0
    ) as counted
    union all
    select event.consumer_id, {event_type_name}, event.created_at::timestamptz, 1, false
    from {customer_events} as event
    where exists (select from cut_days)
        and event.created_at >= (select min(day)::timestamptz from cut_days)
        and event.created_at < (select (max(day) + 1)::timestamptz from cut_days)
        and event.created_at < %(known)s::timestamptz
        and event.consumer_id in (select consumer_id from consumers)
        and event.created_at::date in (select day from cut_days)
    union all
    select consumer_id, event_type, asked.at, 0, true
    from asked
    join totals using (consumer_id)
),

later as (
    select consumer_id, event_type, at, is_asked, sum(n) over (partition by consumer_id, event_type order by at desc) as n
    from moments
),

counted as materialized (
    select
        later.consumer_id,
        later.at,
        jsonb_object_agg(later.event_type, totals.n - later.n) as by_type,
        sum(totals.n - later.n) as total
    from later
    join totals using (consumer_id, event_type)
    where later.is_asked and totals.n <> later.n
    group by later.consumer_id, later.at
)

select
    not exists (select from pg_temp.untold_rows where not is_sure)
    and not exists (
        select from asked
        left join counted using (consumer_id, at)
        where (asked.by_type, asked.total) is distinct from (counted.by_type, counted.total)
    )
    and not exists (
        select from consumer_analytics_internal.written_apart as apart
        join asked on asked.at = apart.snapshot_timestamp
        where asked.consumer_id = any(apart.consumers)
    )
