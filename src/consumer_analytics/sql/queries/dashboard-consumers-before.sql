left join (
    select
        consumer_id,
        (metrics_json ->> 'total_customers')::bigint as customers_before,
        (metrics_json ->> 'total_events')::bigint as events_before
    from public.consumer_analytics
    where snapshot_timestamp = %(before)s and consumer_id is not null
) as earlier using (consumer_id)
