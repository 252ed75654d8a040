-- Customers that the source can no longer tell are taken on trust, as they were reported: those of
-- a consumer whose lifecycle events have vanished after the instant, and with them the sums.
with {frozen}

update audit_figures as figures
set figures = figures.figures || coalesce(
    (
        select jsonb_object_agg(key, value)
        from jsonb_each(old.metrics_json)
        where key like '%customers%'
            or key in ('system_wide_active_ratio', 'avg_customer_lifetime_days', 'consumers_in_system')
    ),
    '{{}}'
) || jsonb_build_object(
    'incremental_stats', (figures.figures -> 'incremental_stats') || case
        when figures.figures -> 'incremental_stats' ? 'new_customers_in_window'
            then jsonb_build_object(
                'new_customers_in_window', old.metrics_json #> '{{incremental_stats,new_customers_in_window}}'
            )
        else '{{}}'
    end
)
from public.consumer_analytics as old
where old.snapshot_timestamp = figures.snapshot_timestamp
    and old.consumer_id is not distinct from figures.consumer_id
    and figures.snapshot_timestamp < (
        select max(until) from frozen where figures.consumer_id is null or frozen.consumer_id = figures.consumer_id
    )
