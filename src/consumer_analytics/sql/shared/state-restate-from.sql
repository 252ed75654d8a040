select restate_after
from consumer_analytics_internal.state
where job_name = {job}
