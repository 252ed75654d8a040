-- A day that the source no longer holds whole and that an instant cuts: what was
-- counted once and is missing now is taken to have come first in the day.
select known.consumer_id, {slot} as slot, {rest} as rest, consumer_analytics_internal.total(known.n) as events
    {pivoted}
from (
    select known.consumer_id, known.event_type, known.n - coalesce(counted.n, 0) as n
    from consumer_analytics_internal.event_days as known
    left join (
        select
            consumer_id,
            {event_type_name} as event_type,
            count(*) as n
        from {customer_events}
        where created_at >= {lower}::timestamptz and created_at < {upper}::timestamptz
        group by 1, 2
    ) as counted
        on counted.event_type = known.event_type
        and counted.consumer_id is not distinct from known.consumer_id
    where known.day = {day}::date and known.n > coalesce(counted.n, 0)
) as known
where {wanted}
group by 1, 2, 3
