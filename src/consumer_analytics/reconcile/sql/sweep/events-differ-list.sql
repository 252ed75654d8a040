-- The first of them, with how many of what is missing stay counted as vanished: what differs and
-- was not corrected.
select
    differing.consumer_id::text,
    differing.event_type,
    differing.day::text,
    differing.known,
    differing.counted,
    greatest(differing.known - differing.counted + coalesce(changes.n, 0), 0)::bigint
from differing_events as differing
left join event_changes as changes
    on changes.day = differing.day
    and changes.event_type = differing.event_type
    and coalesce(changes.consumer_id::text, '') = coalesce(differing.consumer_id::text, '')
order by differing.day, differing.consumer_id, differing.event_type
limit %(limit)s
