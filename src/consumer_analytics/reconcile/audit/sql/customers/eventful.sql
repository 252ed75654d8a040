-- Customers of whom something is told that their rows do not say: an end, a change, a creation that is
-- later than the birth.
insert into audit_eventful (customer_id)
select customer_id
from audit_marks
where kind <> 'creation'
union
select mark.customer_id
from audit_marks as mark
join {customers} as customer on customer.customer_id = mark.customer_id
where mark.kind = 'creation' and mark.at > customer.created_at::timestamptz
