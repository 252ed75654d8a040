-- The events that are counted: the table's own days, the rows of the archive's that no file has, and so
-- many of the files at each cut.
(
    select consumer_id, event_type::text as event_type, created_at::timestamptz as created_at
    from {customer_events} as own
    where created_at >= (select first_day from consumer_analytics_internal.archive)::timestamptz
    union all
    select consumer_id, event_type::text, created_at::timestamptz
    from {customer_events} as own
    where created_at < '0001-01-02'::timestamptz
    union all
    select consumer_id, event_type, created_at
    from audit_strays
    union all
    select consumer_id, event_type, since
    from audit_filed_counts
    cross join generate_series(1, n)
)
