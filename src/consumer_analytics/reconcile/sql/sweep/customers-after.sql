-- What snapshots after this instant say of customers is to be compared.
update consumer_analytics_internal.state
set customers_after = least(customers_after, %(after)s::timestamptz)
where job_name = {job}
