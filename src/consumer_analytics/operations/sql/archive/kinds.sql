-- And how many of each consumer and type.
select consumer_id::text, event_type, count(*)
from pg_temp.archiving
group by 1, 2
