-- Consumers whose customers before an instant can no longer be told: lifecycle events from after
-- it have vanished.
frozen as materialized (
    select consumer_id, max(until) as until
    from consumer_analytics_internal.vanished_events
    where event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
    group by consumer_id
)
