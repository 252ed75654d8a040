-- The whole system is the sum of its consumers; customers without one stay as they were reported
-- where these can no longer be told.
with {frozen},

rows as materialized (
    select new.consumer_id, new.snapshot_timestamp as at, new.metrics_json as metrics
    from rendered_snapshots as new
    where new.consumer_id is not null
        and new.snapshot_timestamp = any(%(instants)s::timestamptz[])
),

statuses as (
    select at, jsonb_object_agg(status, n) as by_status
    from (
        select at, status, sum(n::bigint)::bigint as n
        from rows
        cross join lateral jsonb_each_text(metrics -> 'customers_by_status') as counted (status, n)
        group by at, status
    ) as summed
    group by at
),

sums as (
    select
        at,
        count(*) as consumers,
        sum((metrics ->> 'total_customers')::bigint)::bigint as customers,
        sum((metrics ->> 'active_customers')::bigint)::bigint as active,
        sum((metrics ->> 'inactive_customers')::bigint)::bigint as inactive,
        sum((metrics #>> '{{incremental_stats,new_customers_in_window}}')::bigint)::bigint as new_customers
    from rows
    group by at
)

update rendered_snapshots as new
set metrics_json = new.metrics_json || jsonb_build_object(
    'consumers_in_system', coalesce(sums.consumers, 0),
    'total_customers_all_consumers', coalesce(sums.customers, 0),
    'active_customers_all_consumers', coalesce(sums.active, 0),
    'inactive_customers_all_consumers', coalesce(sums.inactive, 0),
    'customers_by_status_all_consumers', coalesce(statuses.by_status, '{{}}'),
    'system_wide_active_ratio', case
        when sums.customers > 0 then round(sums.active::numeric / sums.customers, 4)
        else 0
    end,
    'unattributed_customers', case
        when same.snapshot_timestamp < (select until from frozen where consumer_id is null)
            then coalesce(old.metrics_json -> 'unattributed_customers', same.metrics_json -> 'unattributed_customers')
        else same.metrics_json -> 'unattributed_customers'
    end,
    'incremental_stats', (same.metrics_json -> 'incremental_stats')
    || jsonb_build_object('new_customers_in_window', coalesce(sums.new_customers, 0))
)
from rendered_snapshots as same
left join sums on sums.at = same.snapshot_timestamp
left join statuses on statuses.at = same.snapshot_timestamp
left join public.consumer_analytics as old
    on old.consumer_id is null and old.snapshot_timestamp = same.snapshot_timestamp
where new.consumer_id is null
    and same.consumer_id is null
    and new.snapshot_timestamp = same.snapshot_timestamp
    and same.snapshot_timestamp = any(%(instants)s::timestamptz[])
