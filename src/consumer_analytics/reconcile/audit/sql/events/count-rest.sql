-- Events of types without a column. A blank type is `(none)`; a long one goes under its beginning
-- and a digest of the whole.
insert into audit_rest (consumer_id, day, place, counted, vanished, event_type, n)
select
    consumer_id,
    since::date,
    width_bucket(since, %(bounds)s::timestamptz[]) + 1,
    since < %(processed_through)s::timestamptz,
    false,
    case
        when event_type ~ '\S' is not true then '(none)'
        when char_length(event_type) > 200
            then left(event_type, 200)
            || ' #' || left(encode(sha256(convert_to(event_type, 'UTF8')), 'hex'), 16)
        else event_type
    end,
    n
from (
    select
        consumer_id,
        {since} as since,
        event_type::text as event_type,
        {counted} as n
    from {customer_events} as customer_events
    where created_at >= %(lower)s::timestamptz
        and created_at < %(until)s::timestamptz
        and (event_type::text = any(%(types)s::text[])) is not true
    group by 1, 2, 3
) as counts
