-- The whole system is the sum of its consumers; customers without one stay as they were reported
-- where these can no longer be told.
with {frozen},

-- What was reported may have been edited since: what is no number is none.
rows as materialized (
    select
        new.consumer_id,
        new.snapshot_timestamp as at,
        case
            when jsonb_typeof(new.metrics_json -> 'customers_by_status') = 'object'
                then new.metrics_json -> 'customers_by_status'
        end as by_status,
        array[
            new.metrics_json -> 'total_customers',
            new.metrics_json -> 'active_customers',
            new.metrics_json -> 'inactive_customers',
            new.metrics_json #> '{{incremental_stats,new_customers_in_window}}'
        ] as said
    from rendered_snapshots as new
    where new.consumer_id is not null
        and new.snapshot_timestamp = any(%(instants)s::timestamptz[])
),

statuses as (
    select at, jsonb_object_agg(status, n) as by_status
    from (
        select at, status, trim_scale(sum(n::numeric)) as n
        from rows
        cross join lateral jsonb_each(by_status) as counted (status, n)
        where jsonb_typeof(n) = 'number'
        group by at, status
    ) as summed
    group by at
),

sums as (
    select
        at,
        count(*) as consumers,
        trim_scale(sum(case when jsonb_typeof(said[1]) = 'number' then said[1]::numeric end)) as customers,
        trim_scale(sum(case when jsonb_typeof(said[2]) = 'number' then said[2]::numeric end)) as active,
        trim_scale(sum(case when jsonb_typeof(said[3]) = 'number' then said[3]::numeric end)) as inactive,
        trim_scale(sum(case when jsonb_typeof(said[4]) = 'number' then said[4]::numeric end)) as new_customers
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
        when sums.customers > 0 then round(sums.active / sums.customers, 4)
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
