-- The digests of instants that were repaired: of the rows as they are now.
update consumer_analytics_internal.written_snapshots as written
set digest = sums.digest
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
    where snapshot_timestamp = any(%(instants)s::timestamptz[])
    group by snapshot_timestamp
) as sums
where sums.snapshot_timestamp = written.snapshot_timestamp and sums.digest <> written.digest
