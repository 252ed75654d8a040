-- What changes among the customers, by consumer and place, and for all consumers together; a
-- column for each of some statuses.
insert into audit_changes (is_whole, consumer_id, place, customers, dated, born_us, undated {columns})
select false, consumer_id, place, sum(n), sum(dated), sum(born_us), sum(undated) {pivoted}
from audit_steps
group by consumer_id, place
union all
select true, null, place, sum(n), sum(dated), sum(born_us), sum(undated) {pivoted}
from audit_steps
where consumer_id is not null
group by place
order by place
