-- The first of these instants before which there were other events than was reported, in days with
-- as many as were counted: one was moved past the instant, or one went and another came. What the
-- count of a day differs by is corrected, and has its snapshots restated for that.
with days as materialized (
    select distinct day
    from pg_temp.cuts
),

state as materialized (
    select processed_through
    from consumer_analytics_internal.state
    where job_name = {job}
),

held as (
    select rows.*, days.day
    from days
    cross join state
    cross join lateral (
        select
            consumer_id,
            {event_type_name} as event_type,
            width_bucket(
                created_at::timestamptz, (select array_agg(distinct at order by at) from pg_temp.cuts)
            ) as place,
            {events_there} as n
        from {customer_events} as customer_events
        where created_at >= days.day::timestamptz
            and created_at < least((days.day + 1)::timestamptz, state.processed_through)
            and {wanted}
        group by 1, 2, 3
    ) as rows
),

-- By type and without types: windows are reported without, and so are rows without a consumer.
cells as materialized (
    select coalesce(consumer_id::text, '') as owner, level.kind, day, place, sum(n) as n
    from (
        select consumer_id, event_type, day, place, n
        from held
        union all
        -- What has vanished is counted as well.
        select
            consumer_id,
            event_type,
            since::date,
            width_bucket(since, (select array_agg(distinct at order by at) from pg_temp.cuts)),
            n
        from consumer_analytics_internal.vanished_events
        where since::date in (select day from days) and {wanted}
    ) as counted
    cross join lateral (values (event_type), (null)) as level (kind)
    group by 1, 2, 3, 4
),

-- Looked up by day, as no index begins with the consumer.
known as materialized (
    select coalesce(consumer_id::text, '') as owner, level.kind, counted.day, sum(n) as n
    from state
    cross join generate_series(0, state.processed_through::date - (select min(day) from days)) as later
    cross join lateral (
        select consumer_id, event_type, day, n
        from consumer_analytics_internal.event_days
        where day = (select min(day) from days) + later and {wanted}
        -- Not to be joined otherwise.
        offset 0
    ) as counted
    cross join lateral (values (event_type), (null)) as level (kind)
    group by 1, 2, 3
),

before as materialized (
    select known.owner, known.kind, known.day, totals.n - known.since as n
    from (
        select *, sum(n) over (partition by owner, kind order by day desc) as since
        from known
    ) as known
    join (
        select coalesce(consumer_id::text, '') as owner, level.kind, sum(n) as n
        from consumer_analytics_internal.event_totals
        cross join lateral (values (event_type), (null)) as level (kind)
        where {wanted}
        group by 1, 2
    ) as totals on totals.owner = known.owner and totals.kind is not distinct from known.kind
    join (
        select owner, kind, day, sum(n) as n
        from cells
        group by 1, 2, 3
    ) as of_day
        on of_day.owner = known.owner
            and of_day.kind is not distinct from known.kind
            and of_day.day = known.day
            and of_day.n = known.n
),

counted as materialized (
    select at, told_at, nullif(owner, '')::uuid as consumer_id, kind, earlier + coalesce(n, 0) as n
    from (
        select
            cuts.at,
            cuts.told_at,
            before.owner,
            before.kind,
            before.n as earlier,
            sum(cells.n) filter (where cells.place < cuts.place) as n
        from pg_temp.cuts
        join before using (day)
        join cells
            on cells.owner = before.owner
                and cells.kind is not distinct from before.kind
                and cells.day = before.day
        where (before.kind is null) = (cuts.told_at <> cuts.at or before.owner = '')
        group by 1, 2, 3, 4, 5
    ) as sums
)

select min(counted.at)
from counted
left join public.consumer_analytics as own
    on own.consumer_id = counted.consumer_id and own.snapshot_timestamp = counted.told_at
left join public.consumer_analytics as whole
    on whole.consumer_id is null and whole.snapshot_timestamp = counted.told_at and counted.consumer_id is null
cross join lateral (
    select
        case
            when counted.consumer_id is null then whole.metrics_json ->> 'unattributed_events'
            when counted.kind is not null then own.metrics_json -> 'events_by_type' ->> counted.kind
            when own.metrics_json #>> '{{incremental_stats,window_start}}' = to_json(counted.at) #>> '{{}}'
                then own.metrics_json ->> 'total_events'
        end as total,
        case
            when counted.told_at <> counted.at
                then own.metrics_json #>> '{{incremental_stats,new_events_in_window}}'
            else '0'
        end as since
) as said
where case
    -- A window of another one, or of nobody's: it says nothing of this instant.
    when counted.told_at <> counted.at then said.total ~ '^\d{{1,18}}$' and said.since ~ '^\d{{1,18}}$'
    else true
end
and counted.n is distinct from case
    when coalesce(said.total, '0') ~ '^\d{{1,18}}$' and said.since ~ '^\d{{1,18}}$'
        then coalesce(said.total, '0')::numeric - said.since::numeric
end
