-- About how many rows a snapshot has.
select count(*) + 1
from (
    select consumer_id from {consumers} as consumers
    union
    select consumer_id from audit_owners
) as consumers
