-- Whose events notes of changes are about; NULL where one may be about anybody's.
select case when bool_and(consumer_id is not null) then array_agg(distinct consumer_id) end
from consumer_analytics_internal.touched_days
where day < (select processed_through from consumer_analytics_internal.state where job_name = {job})
