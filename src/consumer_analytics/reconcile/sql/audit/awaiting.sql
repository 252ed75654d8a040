select exists (select from consumer_analytics_internal.touched_days)
    or exists (select from consumer_analytics_internal.touched_customers)
    or exists (select from consumer_analytics_internal.state where restate_after is not null)
