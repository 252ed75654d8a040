-- Events that count: of the source table's days its rows; of the archive's the files' rows, each at
-- the last cut before it, and those that no file has.
(
    select consumer_id, event_type::text as event_type, created_at::timestamptz as created_at
    from {customer_events} as own
    where created_at >= {first_day}::timestamptz
    union all
    select consumer_id, event_type::text, created_at::timestamptz
    from {customer_events} as own
    where created_at < '0001-01-02'::timestamptz
    union all
    select consumer_id, event_type, created_at
    from pg_temp.archive_strays
    union all
    select consumer_id, event_type, since
    from pg_temp.archived_held
    cross join generate_series(1, n)
)
