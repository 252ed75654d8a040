-- What changes among the customers after a place, and what has come together up to it.
select consumer_id, is_whole, place, customers, dated, born_us, undated {columns}, rest_statuses
from audit_changes
where place > {place}
union all
select
    consumer_id,
    is_whole,
    {place},
    pg_temp.audit_sum(customers),
    pg_temp.audit_sum(dated),
    sum(born_us),
    pg_temp.audit_sum(undated)
    {summed},
    pg_temp.audit_merged(rest_statuses order by place)
from audit_changes
where place <= {place}
group by consumer_id, is_whole
