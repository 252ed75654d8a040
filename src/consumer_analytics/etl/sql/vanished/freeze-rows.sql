-- Customers that can no longer be told stay as they were reported; one that was not reported had
-- none. A row with another window than the one that is rendered does not say what is new in this one:
-- these are the births that are known.
with {frozen}

update rendered_snapshots as new
set metrics_json = new.metrics_json || jsonb_build_object(
    'total_customers', coalesce(old.metrics_json -> 'total_customers', '0'),
    'active_customers', coalesce(old.metrics_json -> 'active_customers', '0'),
    'inactive_customers', coalesce(old.metrics_json -> 'inactive_customers', '0'),
    'customers_by_status', coalesce(old.metrics_json -> 'customers_by_status', '{{}}'),
    'avg_customer_lifetime_days', coalesce(old.metrics_json -> 'avg_customer_lifetime_days', 'null'),
    'incremental_stats', (new.metrics_json -> 'incremental_stats') || jsonb_build_object(
        'new_customers_in_window', case
            when {is_beside} then new.metrics_json #> '{{incremental_stats,new_customers_in_window}}'
            else coalesce(old.metrics_json #> '{{incremental_stats,new_customers_in_window}}', '0')
        end
    )
)
from rendered_snapshots as rendered
join frozen as owner on owner.consumer_id = rendered.consumer_id and rendered.snapshot_timestamp < owner.until
left join public.consumer_analytics as old
    on old.consumer_id = rendered.consumer_id and old.snapshot_timestamp = rendered.snapshot_timestamp
where new.consumer_id = rendered.consumer_id and new.snapshot_timestamp = rendered.snapshot_timestamp
