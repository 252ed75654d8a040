-- Events of the ranges that the run reads, by consumer, UTC day, slot and type; `fresh` those from
-- after what was counted. Ranges have no day and slot in common, so that only types that are counted
-- under another name are summed again.
with rows as materialized (
    {ranges}
)

select
    consumer_id,
    day,
    slot,
    event_type,
    n,
    {fresh} as fresh
from rows
where {plain_type}
union all
select consumer_id, day, slot, {event_type_name}, consumer_analytics_internal.total(n), {fresh}
from rows
where ({plain_type}) is not true
group by 1, 2, 3, 4
