-- What changes among the customers whose status has no column, by consumer and place, and for all
-- consumers together; `null` for none.
insert into audit_changes (is_whole, consumer_id, place, rest_statuses)
select is_whole, consumer_id, place, jsonb_object_agg(status, nullif(there, 0))
from (
    select
        is_whole,
        consumer_id,
        status,
        place,
        sum(n) over (partition by is_whole, consumer_id, status order by place)::bigint as there
    from (
        select false as is_whole, consumer_id, status, place, n
        from audit_steps
        union all
        select true, null, status, place, sum(n)
        from audit_steps
        where consumer_id is not null
        group by status, place
    ) as steps
) as changes
group by is_whole, consumer_id, place
order by place
