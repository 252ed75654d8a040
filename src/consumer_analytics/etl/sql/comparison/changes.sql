-- The customers' changes, one row for each status: of some consumers and of nobody; those of all others
-- together, under one of them.
insert into pg_temp.extracted_customers ({change_columns})
select
    cells.owner,
    cells.slot,
    one.status,
    sum(one.n),
    sum(one.dated),
    sum(one.created_us),
    sum(one.born)
from (
    select
        *,
        case when consumer_id is null or consumer_id = any(%(consumers)s::uuid[]) then consumer_id else others.id end
            as owner
    from pg_temp.customer_cells
    cross join (
        select (
            select consumer_id
            from pg_temp.customer_cells
            where consumer_id is not null and consumer_id <> all(%(consumers)s::uuid[])
            limit 1
        ) as id
    ) as others
) as cells
cross join lateral (
    values {by_status}
) as one (status, n, dated, created_us, born)
where one.n <> 0 or one.dated <> 0 or one.created_us <> 0 or one.born <> 0
group by cells.owner, cells.slot, one.status
