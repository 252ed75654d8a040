-- Rows by consumer, type and the last midnight or cut at or before them, in microseconds since 1970.
select {consumer} as consumer_id, since, event_type, n
from (
    select consumer_id, since, event_type, count(*) as n
    from (
        select
            events.consumer_id,
            events.event_type,
            coalesce(pieces.place, events.day * 86400000000) as since
        from ({raw}) as events
        left join pieces on events.day = pieces.day and events.us >= pieces.begins and events.us < pieces.ends
    ) as placed
    group by consumer_id, since, event_type
) as counted
