-- Events that count, each row so many: of the source table's days its rows; of the archive's the rows
-- that no file has, and so many of the files' at the last cut before them.
(
    select
        consumer_id,
        event_type::text as event_type,
        created_at::timestamptz as created_at,
        1::bigint as events_of_row
    from {customer_events} as own
    where created_at >= {first_day}::timestamptz
    union all
    select consumer_id, event_type::text, created_at::timestamptz, 1
    from {customer_events} as own
    where created_at < '0001-01-02'::timestamptz
    union all
    select consumer_id, event_type, created_at, 1
    from pg_temp.archive_strays
    union all
    select consumer_id, event_type, since, n
    from pg_temp.archived_held
)
