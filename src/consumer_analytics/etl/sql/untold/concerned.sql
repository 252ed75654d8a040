-- The snapshots that what waits to be told concerns, of each consumer and of the whole system: a
-- row for each, with how many events come to it. Instants within a day that is noted, or whose window
-- begins within one, are told apart by NULLs: how much of the day lies before them is not known.
create temporary table untold_rows on commit drop as
with noted as materialized (
    select consumer_id, day, event_type, until, n, day::timestamptz as begins, (day + 1)::timestamptz as ends
    from consumer_analytics_internal.untold_events
),

instants as materialized (
    select
        snapshot_timestamp as at,
        written.window_start,
        to_json(written.window_start) #>> '{{}}' as window_text,
        written.snapshot_source,
        metrics_json,
        written.whole_digest = {whole_digest} as is_as_written
    from public.consumer_analytics as whole
    left join consumer_analytics_internal.written_snapshots as written using (snapshot_timestamp)
    where whole.consumer_id is null
        -- As values, by which the planner knows how many they are.
        and whole.snapshot_timestamp > %(first)s::timestamptz
        and whole.snapshot_timestamp <= %(last)s::timestamptz
),

added as materialized (
    select
        noted.consumer_id,
        instants.at,
        noted.event_type,
        sum(noted.n)::bigint as n,
        coalesce(sum(noted.n) filter (where instants.window_start <= noted.begins), 0)::bigint as fresh,
        bool_or(
            instants.at < noted.ends
            or instants.window_start is null
            or (instants.window_start > noted.begins and instants.window_start < noted.ends)
        ) as is_cut
    from instants
    join noted on instants.at > noted.begins and instants.at <= noted.until
    group by noted.consumer_id, instants.at, noted.event_type
),

cut as materialized (
    select distinct at
    from added
    where is_cut
),

pieces as materialized (
    select consumer_id, at, event_type, n, fresh
    from added
    where at not in (select at from cut)
    union all
    select null, at, event_type, sum(n)::bigint, sum(fresh)::bigint
    from added
    where at not in (select at from cut)
    group by at, event_type
),

rows_of_them as materialized (
    select consumer_id, at, sum(n)::bigint as n, sum(fresh)::bigint as fresh
    from pieces
    group by consumer_id, at
),

reported as materialized (
    select
        rows_of_them.*,
        instants.window_text,
        instants.snapshot_source,
        one.metrics_json,
        one.metrics_json is null as joins
    from rows_of_them
    join instants using (at)
    left join public.consumer_analytics as one
        on one.consumer_id = rows_of_them.consumer_id and one.snapshot_timestamp = rows_of_them.at
    where rows_of_them.consumer_id is not null
),

joining as (
    select at, count(*) as consumers
    from reported
    where joins
    group by at
),

named as materialized (
    select
        consumer_id,
        at,
        n,
        fresh,
        window_text,
        true as is_as_written,
        'total_events' as total_key,
        'events_by_type' as types_key,
        -- A consumer of whom nothing was known had no row; one that is registered had.
        case
            when not joins then metrics_json
            when not exists (
                select from {consumers} as registered
                where registered.consumer_id = reported.consumer_id and registered.created_at < reported.at
            )
                then jsonb_build_object(
                    'total_customers', 0,
                    'active_customers', 0,
                    'inactive_customers', 0,
                    'customers_by_status', jsonb_build_object(),
                    'avg_customer_lifetime_days', null,
                    'total_events', 0,
                    'events_by_type', jsonb_build_object(),
                    'incremental_stats', jsonb_build_object(
                        'window_start', window_text,
                        'window_end', at,
                        'new_customers_in_window', 0,
                        'new_events_in_window', 0
                    ),
                    'snapshot_source', snapshot_source,
                    'etl_job', {job}
                )
        end as metrics_json
    from reported
    union all
    select
        null,
        at,
        n,
        fresh,
        window_text,
        is_as_written,
        'total_events_all_consumers',
        'events_by_type_all_consumers',
        case
            when consumers is null then metrics_json
            when (metrics_json ->> 'consumers_in_system') ~ '^\d{{1,18}}$'
                then metrics_json || jsonb_build_object(
                    'consumers_in_system', (metrics_json ->> 'consumers_in_system')::bigint + consumers
                )
        end
    from rows_of_them
    join instants using (at)
    left join joining using (at)
    where consumer_id is null
),

-- What the types that are concerned were, and will be.
typed as materialized (
    select
        coalesce(pieces.consumer_id::text, '') as owner,
        pieces.at,
        pieces.event_type,
        case
            when said.n is null then pieces.n
            when jsonb_typeof(said.n) = 'number' then said.n::numeric + pieces.n
        end as n
    from pieces
    join named on named.at = pieces.at and named.consumer_id is not distinct from pieces.consumer_id
    cross join lateral (select metrics_json -> types_key -> pieces.event_type as n) as said
),

by_type as materialized (
    select
        owner,
        at,
        bool_and(n between 0 and 999999999999999999 and n = trunc(n)) is true as can_be,
        array_agg(event_type) filter (where n = 0) as gone,
        jsonb_object_agg(event_type, trunc(n)) filter (where n <> 0) as put
    from typed
    group by owner, at
)

select
    named.consumer_id,
    named.at as snapshot_timestamp,
    -- Only a row that says what it was written with can be added to. The counts prove what a
    -- consumer's row says, its types and their sum; of the whole system's a hash is kept.
    coalesce(
        is_as_written
        and window_text = metrics_json #>> '{{incremental_stats,window_start}}'
        and (metrics_json #>> '{{incremental_stats,new_events_in_window}}') ~ '^\d{{1,18}}$'
        and (metrics_json ->> total_key) ~ '^\d{{1,18}}$'
        and jsonb_typeof(metrics_json -> types_key) = 'object'
        and by_type.can_be
        and (metrics_json ->> total_key)::numeric + named.n > 0
        and (metrics_json #>> '{{incremental_stats,new_events_in_window}}')::numeric + fresh >= 0,
        false
    ) as is_sure,
    metrics_json,
    total_key,
    types_key,
    case
        when (metrics_json ->> total_key) ~ '^\d{{1,18}}$' then (metrics_json ->> total_key)::numeric + named.n
    end as total,
    case
        when jsonb_typeof(metrics_json -> types_key) = 'object'
            then (metrics_json -> types_key) - coalesce(by_type.gone, '{{}}') || coalesce(by_type.put, '{{}}')
    end as by_type,
    fresh
from named
left join by_type on by_type.owner = coalesce(named.consumer_id::text, '') and by_type.at = named.at
union all
select null, at, null, null, null, null, null, null, null
from cut
