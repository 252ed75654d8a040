-- All events, by consumer, day, type and how many of the bounds lie at or before them.
insert into audit_events (consumer_id, day, slot, event_type, n, counted)
select
    consumer_id,
    day,
    slot,
    case
        when coalesce(event_type::text, '') !~ '\S' then '(none)'
        when length(event_type::text) <= 200 then event_type::text
        -- The first 200 characters, and the first 16 hexadecimal digits of the whole's SHA-256.
        else concat(
            substr(event_type::text, 1, 200),
            ' #',
            substr(encode(sha256(convert_to(event_type::text, 'UTF8')), 'hex'), 1, 16)
        )
    end,
    n,
    counted
from (
    select
        consumer_id,
        created_at::date as day,
        width_bucket(created_at::timestamptz, %(bounds)s::timestamptz[]) as slot,
        event_type::text as event_type,
        count(*) as n,
        created_at < %(processed_through)s::timestamptz as counted
    from {customer_events}
    where created_at < %(until)s::timestamptz
    group by 1, 2, 3, 4, 6
) as counts
