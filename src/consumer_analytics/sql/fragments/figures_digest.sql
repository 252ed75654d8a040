-- A hash of a row's figures of customers, which a purged source may not be able to tell again.
jsonb_hash_extended(
    coalesce(metrics_json #> '{incremental_stats,new_customers_in_window}', 'null'),
    jsonb_hash_extended(
        coalesce(metrics_json -> 'avg_customer_lifetime_days', 'null'),
        jsonb_hash_extended(
            coalesce(metrics_json -> 'customers_by_status', metrics_json -> 'unattributed_customers', 'null'),
            coalesce(uuid_hash_extended(consumer_id, 0), 1)
        )
    )
)
