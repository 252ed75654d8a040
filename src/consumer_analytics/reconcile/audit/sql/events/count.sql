-- All events of the source, by consumer, day and the first bound after them; a column for each of
-- some types.
insert into audit_events (consumer_id, day, place, counted, vanished, events {columns})
select
    consumer_id,
    since::date,
    width_bucket(since, %(bounds)s::timestamptz[]) + 1 as place,
    since < %(processed_through)s::timestamptz,
    false,
    events
    {columns}
from (
    select
        consumer_id,
        {since} as since,
        {counted} as events
        {pivoted}
    from {customer_events} as customer_events
    where created_at >= %(lower)s::timestamptz and created_at < %(until)s::timestamptz
    group by 1, 2
) as counts
order by place
