-- Where a reported window began within a stretch, how many of a consumer's events were new in it is
-- known, whatever their types: total_events less new_events_in_window. So what is placed in the
-- stretch is divided there too. By type it is any division: no snapshot tells that.
with windows as materialized (
    select distinct on (stretch.since, stretch.until, written.window_start)
        stretch.since,
        stretch.until,
        written.window_start as at,
        written.snapshot_timestamp
    from (
        select distinct since, until
        from event_placed
        where sign = 1 and consumer_id is not null
    ) as stretch
    join consumer_analytics_internal.written_snapshots as written
        on written.is_whole
        and written.window_start > stretch.since
        and written.window_start < stretch.until
    join public.consumer_analytics as whole
        on whole.consumer_id is null and whole.snapshot_timestamp = written.snapshot_timestamp
    order by stretch.since, stretch.until, written.window_start, written.snapshot_timestamp
),

divided as (
    delete from event_placed as placed
    using (select distinct since, until from windows) as stretch
    where placed.sign = 1
        and placed.consumer_id is not null
        and placed.since = stretch.since
        and placed.until = stretch.until
    returning placed.*
),

owners as materialized (
    select distinct consumer_id, since, until
    from divided
),

counted_before as (
    select owners.consumer_id, owners.since, owners.until, sum(totals.n) as n
    from owners
    join (
        select consumer_id, null::date as day, n
        from consumer_analytics_internal.event_totals
        union all
        select consumer_id, day, -n
        from consumer_analytics_internal.event_days
        where day >= (select min(since)::date from owners)
    ) as totals
        on totals.consumer_id = owners.consumer_id and (totals.day is null or totals.day >= owners.since::date)
    group by owners.consumer_id, owners.since, owners.until
),

parts as (
    select
        since,
        until,
        at as part_since,
        lead(at, 1, until) over (partition by since, until order by at) as part_until,
        lead(snapshot_timestamp) over (partition by since, until order by at) as told_at
    from (
        select since, until, at, snapshot_timestamp
        from windows
        union all
        select distinct since, until, since as at, null::timestamptz as snapshot_timestamp
        from windows
    ) as points
),

held as (
    select parts.since, parts.part_since, rows.consumer_id, rows.n
    from parts
    cross join lateral (
        select consumer_id, {events_there} as n
        from {customer_events} as customer_events
        where created_at >= parts.part_since and created_at < parts.part_until and consumer_id is not null
        group by consumer_id
    ) as rows
),

noted as (
    select parts.since, parts.part_since, vanished.consumer_id, sum(vanished.n) as n
    from parts
    join consumer_analytics_internal.vanished_events as vanished
        on vanished.since >= parts.part_since and vanished.since < parts.part_until
    group by parts.since, parts.part_since, vanished.consumer_id
),

reached as (
    select
        owners.consumer_id,
        owners.since,
        owners.until,
        parts.part_since,
        parts.part_until,
        parts.told_at is null as is_last,
        greatest(coalesce(first.n, counted_before.n, 0), 0) as before,
        max(coalesce(told.n, 0)) over (
            partition by owners.consumer_id, owners.since, owners.until order by parts.part_since
        ) as counted
    from owners
    join parts using (since, until)
    left join counted_before using (consumer_id, since, until)
    left join public.consumer_analytics as whole
        on whole.consumer_id is null and whole.snapshot_timestamp = owners.since
    left join public.consumer_analytics as own
        on own.consumer_id = owners.consumer_id and own.snapshot_timestamp = owners.since
    left join public.consumer_analytics as later
        on later.consumer_id = owners.consumer_id and later.snapshot_timestamp = parts.told_at
    cross join lateral (
        select
            case
                when whole.snapshot_timestamp is null then null
                when own.metrics_json ->> 'total_events' ~ '^\d{{1,18}}$'
                    then (own.metrics_json ->> 'total_events')::bigint
                else 0
            end as n
    ) as first
    cross join lateral (
        select
            case
                -- A row that was backfilled by itself has another window.
                when later.metrics_json #> '{{incremental_stats,window_start}}'
                    = (
                        select metrics_json #> '{{incremental_stats,window_start}}'
                        from public.consumer_analytics
                        where consumer_id is null and snapshot_timestamp = parts.told_at
                    )
                    and later.metrics_json ->> 'total_events' ~ '^\d{{1,18}}$'
                    and later.metrics_json #>> '{{incremental_stats,new_events_in_window}}' ~ '^\d{{1,18}}$'
                    then
                        (later.metrics_json ->> 'total_events')::bigint
                        - (later.metrics_json #>> '{{incremental_stats,new_events_in_window}}')::bigint
            end as n
    ) as told
),

room as (
    select
        consumer_id,
        since,
        until,
        part_since,
        part_until,
        sum(n) over so_far - n as begins,
        case when is_last then 'infinity'::numeric else sum(n) over so_far end as ends
    from (
        select
            reached.*,
            greatest(
                counted - greatest(coalesce(lag(counted) over following, 0), before)
                - coalesce(noted.n, 0) - coalesce(held.n, 0),
                0
            ) as n
        from reached
        left join noted using (consumer_id, since, part_since)
        left join held using (consumer_id, since, part_since)
        window following as (partition by reached.consumer_id, reached.since, reached.until order by reached.part_since)
    ) as spaces
    window so_far as (partition by consumer_id, since, until order by part_since)
),

sought as (
    select
        *,
        sum(n) over so_far - n as begins,
        sum(n) over so_far as ends
    from divided
    window so_far as (partition by consumer_id, since, until order by event_type)
)

insert into event_placed (consumer_id, event_type, since, until, n, sign)
select
    sought.consumer_id,
    sought.event_type,
    room.part_since,
    room.part_until,
    (least(sought.ends, room.ends) - greatest(sought.begins, room.begins))::bigint,
    1
from sought
join room using (consumer_id, since, until)
where least(sought.ends, room.ends) > greatest(sought.begins, room.begins)
