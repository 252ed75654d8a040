-- The event types and the statuses that come up in a plan's snapshots.
select
    array(
        select distinct event_type
        from consumer_analytics_internal.event_totals
    ) as types,
    array(
        select distinct status
        from consumer_analytics_internal.extracted_customers
        where run_id = %(run_id)s
    ) as statuses
