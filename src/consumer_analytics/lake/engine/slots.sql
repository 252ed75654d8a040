-- Rows by consumer and slot, with a number for each type that has a column; those of other types each
-- by its type.
select {consumer} as consumer_id, slot, rest, events {names}
from (
    select consumer_id, slot, rest, count(*) as events {pivoted}
    from (
        select
            events.consumer_id,
            pieces.place as slot,
            kinds.place,
            case when kinds.place is null then coalesce(events.event_type, '') end as rest
        from ({raw}) as events
        join pieces on events.day = pieces.day and events.us >= pieces.begins and events.us < pieces.ends
        left join kinds on kinds.name = coalesce(events.event_type, '')
    ) as placed
    group by consumer_id, slot, rest
) as counted
