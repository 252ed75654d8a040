-- The whole system's customers at each of the `wrong` instants: as they were reported, but for what those
-- who have been counted are more, or fewer, than was reported of them.
reported_whole as materialized (
    select wrong.slot, one.metrics_json as metrics
    from wrong
    join public.consumer_analytics as one on one.consumer_id is null and one.snapshot_timestamp = wrong.at
),

parts as (
    select slot, 'customers_by_status_all_consumers' as key, metrics, 1 as n
    from reported_whole
    union all
    select slot, 'customers_by_status', metrics, -1
    from compared
    union all
    select slot, 'customers_by_status', jsonb_build_object('customers_by_status', by_status), 1
    from compared
),

statuses as (
    select parts.slot, one.status, sum(parts.n * one.n)::bigint as n
    from parts
    cross join lateral (
        select key as status, case when jsonb_typeof(value) = 'number' then value::numeric end as n
        from jsonb_each(
            case when jsonb_typeof(parts.metrics -> parts.key) = 'object' then parts.metrics -> parts.key else '{{}}' end
        )
    ) as one
    group by parts.slot, one.status
),

summed as (
    select
        reported_whole.slot,
        by_status.total,
        by_status.by_status,
        whole.n + coalesce(more.born, 0) as born,
        strays.n as unattributed
    from reported_whole
    left join (
        select slot, sum(n)::bigint as total, jsonb_object_agg(status, n) filter (where n <> 0) as by_status
        from statuses
        group by slot
    ) as by_status using (slot)
    left join (
        select
            slot,
            sum(born - case when jsonb_typeof(said.n) = 'number' then said.n::numeric end)::bigint as born
        from compared
        cross join lateral (select metrics #> '{{incremental_stats,new_customers_in_window}}' as n) as said
        group by slot
    ) as more using (slot)
    cross join lateral (
        select
            case when jsonb_typeof(said.born) = 'number' then said.born::bigint end as n
        from (select metrics #> '{{incremental_stats,new_customers_in_window}}' as born) as said
    ) as whole
    cross join lateral (
        select
            case when jsonb_typeof(said.strays) = 'number' then said.strays::bigint end as n
        from (select metrics -> 'unattributed_customers' as strays) as said
    ) as strays
)
