-- The first row that is or was there; null where there was none.
select least(
    (select min(created_at)::timestamptz from {customer_events}),
    (select min(created_at)::timestamptz from {customers}),
    (select min(created_at)::timestamptz from {consumers}),
    (select min(day)::timestamptz from consumer_analytics_internal.event_days where n > 0),
    (select min(created_at) from consumer_analytics_internal.deleted_customers)
)
