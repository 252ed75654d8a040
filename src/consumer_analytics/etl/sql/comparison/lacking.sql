-- Whether the source holds fewer lifecycle events of some consumers than were counted, on a day since an
-- instant, and they have not been noted as vanished. Looked up by their customers, so that it costs no
-- more than these: events of theirs that tell of others' customers are taken for gone as well.
select exists (
    select
    from (
        select consumer_id, day, event_type, n
        from consumer_analytics_internal.event_days
        where consumer_id = any(%(consumers)s::uuid[])
            and day >= %(first)s::timestamptz::date
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        union all
        select consumer_id, since::date, event_type, -n
        from consumer_analytics_internal.vanished_events
        where consumer_id = any(%(consumers)s::uuid[])
            and since >= %(first)s::timestamptz::date::timestamptz
            and event_type in ({customer_creation}, {customer_status_change}, {customer_deletion})
        union all
        select event.consumer_id, event.created_at::timestamptz::date, event.event_type::text, -1
        from (
            select customer_id
            from pg_temp.rows_of_some
            union
            select customer_id
            from pg_temp.lives_of_some
        ) as one
        join {customer_events} as event using (customer_id)
        where event.consumer_id = any(%(consumers)s::uuid[])
            and event.created_at >= %(first)s::timestamptz::date::timestamptz
            and event.created_at < %(known)s::timestamptz
            and event.event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
    ) as counted
    where not exists (
        select from consumer_analytics_internal.archive
        where counted.day < archive.first_day
    )
    group by consumer_id, day, event_type
    having sum(n) > 0
)
