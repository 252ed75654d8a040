-- A hash of what a purged source may not be able to tell again: a row's figures of customers, and
-- what is new in its window.
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
