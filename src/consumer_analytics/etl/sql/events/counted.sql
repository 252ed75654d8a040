-- Events of the ranges that the run reads, by consumer, UTC day, slot and type; `fresh` those from
-- after what was counted. Ranges have no day and slot in common.
select
    consumer_id,
    day,
    slot,
    event_type,
    n,
    {fresh} as fresh
from (
    {ranges}
) as rows
