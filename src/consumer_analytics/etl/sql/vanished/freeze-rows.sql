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
            when apart.window_start is not null then new.metrics_json #> '{{incremental_stats,new_customers_in_window}}'
            else coalesce(old.metrics_json #> '{{incremental_stats,new_customers_in_window}}', '0')
        end
    )
)
from rendered_snapshots as same
join frozen on frozen.consumer_id = same.consumer_id and same.snapshot_timestamp < frozen.until
left join public.consumer_analytics as old
    on old.consumer_id = same.consumer_id and old.snapshot_timestamp = same.snapshot_timestamp
left join consumer_analytics_internal.written_apart as apart
    on apart.snapshot_timestamp = same.snapshot_timestamp
        and same.consumer_id = any(apart.consumers)
        and to_json(apart.window_start) #>> '{{}}' <> same.metrics_json #>> '{{incremental_stats,window_start}}'
where new.consumer_id = same.consumer_id and new.snapshot_timestamp = same.snapshot_timestamp
