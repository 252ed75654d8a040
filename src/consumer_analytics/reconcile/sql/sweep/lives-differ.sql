-- Whose customers are to be compared where some days are swept: anybody's, where what came or went of
-- lifecycle events says so; else theirs whose rows say of the windows around these days that others were born.
with written as materialized (
    select snapshot_timestamp as at, window_start as starts
    from consumer_analytics_internal.written_snapshots
    where is_whole and snapshot_timestamp <= %(known)s::timestamptz
),

-- Up to the first snapshot after the day: later ones may be of long windows that have it, too.
windows as materialized (
    select distinct written.at, written.starts
    from unnest(%(days)s::date[]) as swept (day)
    cross join lateral (
        select min(later.at) as at
        from written as later
        where later.at >= (swept.day + 1)::timestamptz
    ) as after_it
    join written
        on written.at > swept.day::timestamptz
        and written.starts < (swept.day + 1)::timestamptz
        and written.at <= coalesce(after_it.at, 'infinity')
),

-- Where they begin and end, each stretch of them once.
edges as materialized (
    select min(edge) as since, max(edge) as until, array_agg(edge order by edge) as edges
    from (
        select unnest(range_agg(tstzrange(starts, at))) as stretch
        from windows
        where starts < at
    ) as stretches
    cross join lateral (values (lower(stretch)), (upper(stretch))) as one (edge)
),

restored as materialized (
    select distinct on (customer_id) customer_id, reborn_at, deleted_at
    from consumer_analytics_internal.deleted_customers
    where reborn_at is not null
    order by customer_id, deleted_at desc
),

births as materialized (
    select today.consumer_id, today.created_at::timestamptz as at, 'infinity'::timestamptz as until
    from {customers} as today
    where today.created_at >= (select since from edges)
        and today.created_at < (select until from edges)
        and width_bucket(today.created_at::timestamptz, (select edges from edges)) & 1 = 1
        and not exists (
            select from restored
            where restored.customer_id = today.customer_id and restored.deleted_at > today.created_at
        )
    union all
    select today.consumer_id, restored.reborn_at, 'infinity'
    from restored
    join {customers} as today using (customer_id)
    where today.created_at < restored.deleted_at
    union all
    select consumer_id, created_at, deleted_at
    from consumer_analytics_internal.deleted_customers as life
    where born_from <> 'nothing'
        and created_at >= (select since from edges)
        and created_at < (select until from edges)
        and width_bucket(created_at, (select edges from edges)) & 1 = 1
        -- Who is there has not ended, unless a creation says so.
        and (
            reborn_at is not null
            or not exists (
                select from {customers} as today
                where today.customer_id = life.customer_id and today.created_at < life.deleted_at
            )
        )
),

born as (
    select births.consumer_id, windows.at, count(*) as n
    from windows
    join births on births.at >= windows.starts and births.at < windows.at and births.until >= windows.at
    where births.consumer_id is not null
    group by births.consumer_id, windows.at
),

reported as materialized (
    select one.consumer_id, windows.at, one.n
    from windows
    cross join lateral (
        select consumer_id, metrics_json #> '{{incremental_stats,new_customers_in_window}}' as n
        from public.consumer_analytics
        where snapshot_timestamp = windows.at and consumer_id is not null
        -- Looked up by its instant: the planner would read all rows of all of them.
        offset 0
    ) as one
)

select
    exists (
        select from consumer_analytics_internal.state
        where job_name = {job}
            and ((customers_after is not null and customers_of is null) or restate_after is not null)
    ) as is_anybody,
    array(
        select distinct consumer_id
        from born
        full join reported using (consumer_id, at)
        where reported.n is distinct from to_jsonb(coalesce(born.n, 0))
    ) as consumers
