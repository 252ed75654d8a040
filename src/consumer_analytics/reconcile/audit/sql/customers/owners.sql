-- Since when a consumer has owned a customer, living or not.
insert into audit_owners (consumer_id, since)
select consumer_id, min(coalesce(born, '-infinity'))
from audit_lives
where consumer_id is not null and coalesce(born, '-infinity') < ended
group by consumer_id
