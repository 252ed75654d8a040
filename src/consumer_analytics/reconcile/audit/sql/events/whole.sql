-- What changes among the events of all consumers together.
insert into audit_changes (is_whole, consumer_id, place, events {columns})
select true, null, place, pg_temp.audit_sum(events) {summed}
from audit_events
where consumer_id is not null
group by place
