-- The machines on which tasks have run of late.
select distinct hostname
from {task_instance}
where coalesce(hostname, '') <> '' and start_date > now() - %(days)s * interval '1 day'
order by hostname
