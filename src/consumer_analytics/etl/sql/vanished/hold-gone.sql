-- Consumers of whom no customer's row is left, and no event tells why: what was reported of them
-- stays. Answers at which instants there is one.
with fewer as materialized (
    select new.consumer_id, new.snapshot_timestamp, old.metrics_json as reported
    from rendered_snapshots as new
    join public.consumer_analytics as old using (consumer_id, snapshot_timestamp)
    where jsonb_typeof(old.metrics_json -> 'total_customers') = 'number'
        and new.metrics_json -> 'total_customers' < old.metrics_json -> 'total_customers'
),

without as materialized (
    select consumer_id
    from (select distinct consumer_id from fewer) as candidates
    where consumer_id not in (
        select consumer_id
        from {customers}
        where consumer_id in (select consumer_id from fewer)
    )
),

held as (
    update rendered_snapshots as new
    set metrics_json = new.metrics_json || jsonb_build_object(
        'total_customers', reported -> 'total_customers',
        'active_customers', coalesce(reported -> 'active_customers', '0'),
        'inactive_customers', coalesce(reported -> 'inactive_customers', '0'),
        'customers_by_status', coalesce(reported -> 'customers_by_status', '{{}}'),
        'avg_customer_lifetime_days', coalesce(reported -> 'avg_customer_lifetime_days', 'null'),
        'incremental_stats', (new.metrics_json -> 'incremental_stats') || jsonb_build_object(
            'new_customers_in_window', coalesce(reported #> '{{incremental_stats,new_customers_in_window}}', '0')
        )
    )
    from fewer
    where fewer.consumer_id in (select consumer_id from without)
        and new.consumer_id = fewer.consumer_id
        and new.snapshot_timestamp = fewer.snapshot_timestamp
    returning new.snapshot_timestamp
)

select array_agg(distinct snapshot_timestamp)
from held
