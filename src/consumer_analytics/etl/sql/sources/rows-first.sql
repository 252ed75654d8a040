-- The first row that is or was there; null where there was none.
select least(
    (select min(created_at)::timestamptz from {customer_events} as customer_events),
    (select min(created_at)::timestamptz from {customers} as customers),
    (select min(created_at)::timestamptz from {consumers} as consumers),
    (select min(day)::timestamptz from consumer_analytics_internal.event_days where n > 0),
    (select min(created_at) from consumer_analytics_internal.deleted_customers)
)
