-- Whether customers are to be compared at all where some days are swept: what came or went of lifecycle
-- events says so, or rows that say of the windows around these days how many were born.
with recursive {owners},

windows as materialized (
    select snapshot_timestamp as at, window_start as starts
    from consumer_analytics_internal.written_snapshots
    where is_whole
        and snapshot_timestamp <= %(known)s::timestamptz
        and exists (
            select
            from unnest(%(days)s::date[]) as swept (day)
            where snapshot_timestamp > day::timestamptz and window_start < (day + 1)::timestamptz
        )
),

reach as (
    select min(starts) as since, max(at) as until
    from windows
),

restored as materialized (
    select distinct on (customer_id) customer_id, reborn_at, deleted_at
    from consumer_analytics_internal.deleted_customers
    where reborn_at is not null
    order by customer_id, deleted_at desc
),

births as (
    select today.consumer_id, today.created_at::timestamptz as at, 'infinity'::timestamptz as until
    from {customers} as today
    where today.created_at >= (select since from reach)
        and today.created_at < (select until from reach)
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
        and created_at >= (select since from reach)
        and created_at < (select until from reach)
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

reported as (
    select owners.consumer_id, windows.at, one.metrics_json #> '{{incremental_stats,new_customers_in_window}}' as n
    from windows
    cross join owners
    join public.consumer_analytics as one
        on one.consumer_id = owners.consumer_id and one.snapshot_timestamp = windows.at
)

select
    exists (
        select from consumer_analytics_internal.state
        where job_name = {job} and (customers_after is not null or restate_after is not null)
    )
    or exists (
        select
        from born
        full join reported using (consumer_id, at)
        where reported.n is distinct from to_jsonb(coalesce(born.n, 0))
    )
