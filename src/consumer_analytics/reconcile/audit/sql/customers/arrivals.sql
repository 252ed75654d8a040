-- Lives that no creation event of their consumer tells of. Asked for only where a consumer has
-- none of its rows left.
insert into audit_arrivals (consumer_id, born, ended, n)
select life.consumer_id, life.born, life.ended, 1
from audit_lives as life
where not exists (
    select
    from audit_marks as mark
    where mark.customer_id = life.customer_id
        and mark.kind = 'creation'
        and mark.consumer_id is not distinct from life.consumer_id
)
union all
-- Born between the same two bounds: any of them stands for all.
select consumer_id, born, 'infinity', n
from audit_uneventful
where not is_told
