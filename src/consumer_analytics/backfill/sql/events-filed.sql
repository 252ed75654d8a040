-- Events of days that are archived, as the files have them: by consumer and slot, with a column for each
-- type that has one.
select
    consumer_id,
    slot,
    case when rest is not null then {event_type_name} end as rest,
    events
    {columns}
from (
    select *, rest as event_type
    from pg_temp.archived_slots
    where slot < %(slots)s
) as filed
where {wanted}
