-- Events that have vanished, also those that somebody has accepted since.
lost as not materialized (
    select consumer_id, event_type, since, until, false as is_accepted
    from consumer_analytics_internal.vanished_events
    union all
    select consumer_id, event_type, since, until, true
    from consumer_analytics_internal.accepted_events
)
