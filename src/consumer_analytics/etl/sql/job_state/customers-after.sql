-- After which instant what snapshots say of customers is to be compared.
select customers_after
from consumer_analytics_internal.state
where job_name = {job}
