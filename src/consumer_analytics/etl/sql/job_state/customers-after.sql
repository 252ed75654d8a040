-- After which instant what snapshots say of customers is to be compared, whose customers, and until when.
select customers_after, customers_of, customers_until
from consumer_analytics_internal.state
where job_name = {job} and customers_after is not null
