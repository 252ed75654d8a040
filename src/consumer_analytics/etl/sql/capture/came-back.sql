-- Rows that came back as they had gone, without an event: in between they were not there.
update consumer_analytics_internal.deleted_customers as known
set reborn_at = back.came_at, reborn_from = 'row'
from (
    select distinct on (note.customer_id) note.customer_id, note.came_at, life.deleted_at
    from consumer_analytics_internal.touched_customers as note
    join consumer_analytics_internal.deleted_customers as life
        on life.customer_id = note.customer_id and life.deleted_at <= note.came_at
    where note.came_at is not null
    order by note.customer_id, life.deleted_at desc, note.came_at
) as back
where known.customer_id = back.customer_id
    and known.deleted_at = back.deleted_at
    and known.ended_by = 'row'
    and known.reborn_at is null
