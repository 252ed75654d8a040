-- Births by the bounds between which the customer exists.
insert into audit_births (consumer_id, born_place, end_place, n)
select consumer_id, born_place, end_place, count(*)
from (
    select
        consumer_id,
        width_bucket(born, %(bounds)s::timestamptz[]) + 1 as born_place,
        width_bucket(ended, %(bounds)s::timestamptz[]) as end_place
    from audit_lives
    where born is not null
) as placed
where born_place <= end_place
group by consumer_id, born_place, end_place
union all
select consumer_id, born_place, cardinality(%(bounds)s::timestamptz[]), sum(n)
from audit_uneventful
where born_place <= cardinality(%(bounds)s::timestamptz[])
group by consumer_id, born_place
