-- Whether a run has come upon lifecycle events that say nothing of any customer.
select exists (
    select
    from consumer_analytics_internal.runs
    where summary -> 'bad_rows' ?| array['lifecycle_events_without_customer', 'unreadable_lifecycle_events']
)
