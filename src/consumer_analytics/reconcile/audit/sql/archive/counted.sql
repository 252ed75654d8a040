-- The events that are counted, each row so many: the table's own days, the rows of the archive's that no
-- file has, and what the files have at each cut.
(
    select
        consumer_id,
        event_type::text as event_type,
        created_at::timestamptz as created_at,
        1::bigint as events_of_row
    from {customer_events} as own
    where created_at >= (select first_day from consumer_analytics_internal.archive)::timestamptz
    union all
    select consumer_id, event_type::text, created_at::timestamptz, 1
    from {customer_events} as own
    where created_at < '0001-01-02'::timestamptz
    union all
    select consumer_id, event_type, created_at, 1
    from audit_strays
    union all
    select consumer_id, event_type, since, n
    from audit_filed_counts
)
