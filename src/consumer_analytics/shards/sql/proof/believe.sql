-- What rows say now is as it was written.
update consumer_analytics_internal.written_snapshots as written
set digest = now.digest
from (
    select
        snapshot_timestamp,
        sum(
            jsonb_hash_extended(
                coalesce(metrics_json -> 'incremental_stats', 'null'),
                jsonb_hash_extended(
                    coalesce(metrics_json -> 'avg_customer_lifetime_days', 'null'),
                    jsonb_hash_extended(
                        coalesce(
                            metrics_json -> 'customers_by_status',
                            metrics_json -> 'unattributed_customers',
                            'null'
                        ),
                        coalesce(uuid_hash_extended(consumer_id, 0), 1)
                    )
                )
            )
        ) as digest
    from public.consumer_analytics
    where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    group by snapshot_timestamp
) as now
where written.snapshot_timestamp = now.snapshot_timestamp and written.digest <> now.digest
