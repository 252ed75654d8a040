select exists (select from consumer_analytics_internal.vanished_events)
