union all
select consumer_id, since::date, event_type, n
from pg_temp.event_placed
where sign = 1
