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
    (select count(*) from {customer_events} where created_at > now()) as future_events
