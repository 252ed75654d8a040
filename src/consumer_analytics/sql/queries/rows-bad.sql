-- Rows that the contract tolerates, counted so that none is passed over in silence.
select
    (
        select coalesce(sum(n), 0)::bigint
        from consumer_analytics_internal.event_totals
        where consumer_id is null
    ) as unattributed_events,
    (
        select coalesce(sum(n), 0)::bigint
        from consumer_analytics_internal.event_totals
        where event_type = '(none)'
    ) as untyped_events,
    (select count(*) from {customer_events} where created_at > now()) as future_events,
    (
        select array_agg(distinct consumer_id::text order by consumer_id::text)
        from (
            select consumer_id
            from consumer_analytics_internal.event_totals
            union all
            select consumer_id
            from consumer_analytics_internal.extracted_customers
            where run_id = %(run_id)s
        ) as mentioned
        where consumer_id is not null
            and not exists (select from {consumers} as known where known.consumer_id = mentioned.consumer_id)
    ) as unknown_consumers
