-- All events of the source, by consumer, day, type and the first bound after them. A blank type
-- is `(none)`; a long one goes under its beginning and a digest of the whole.
insert into audit_events (consumer_id, day, place, event_type, n, counted, vanished)
select
    consumer_id,
    day,
    place,
    case
        when event_type ~ '\S' is not true then '(none)'
        when char_length(event_type) > 200
            then left(event_type, 200)
            || ' #' || left(encode(sha256(convert_to(event_type, 'UTF8')), 'hex'), 16)
        else event_type
    end,
    n,
    counted,
    false
from (
    select
        consumer_id,
        created_at::date as day,
        width_bucket(created_at::timestamptz, %(bounds)s::timestamptz[]) + 1 as place,
        event_type::text as event_type,
        count(*) as n,
        created_at < %(processed_through)s::timestamptz as counted
    from {customer_events} as customer_events
    where created_at < %(until)s::timestamptz
    group by 1, 2, 3, 4, 6
) as counts
