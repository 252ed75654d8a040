-- What changes among the customers, by consumer and place, and for all consumers together.
insert into audit_changes (is_whole, consumer_id, place, customers, dated, born_us, undated, by_status)
select
    is_whole,
    consumer_id,
    place,
    sum(n),
    sum(dated),
    sum(born_us),
    sum(undated),
    jsonb_object_agg(status, nullif(there, 0))
from (
    select
        is_whole,
        consumer_id,
        status,
        place,
        n,
        dated,
        born_us,
        undated,
        sum(n) over (partition by is_whole, consumer_id, status order by place)::bigint as there
    from (
        select false as is_whole, consumer_id, status, place, n, dated, born_us, undated
        from audit_steps
        union all
        select true, null, status, place, sum(n), sum(dated), sum(born_us), sum(undated)
        from audit_steps
        where consumer_id is not null
        group by status, place
    ) as steps
) as changes
group by is_whole, consumer_id, place
order by place
