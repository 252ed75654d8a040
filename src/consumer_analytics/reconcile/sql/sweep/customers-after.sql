-- What snapshots after this instant say of anybody's customers is to be compared.
update consumer_analytics_internal.state
set
    customers_after = least(customers_after, %(after)s::timestamptz),
    customers_of = null
where job_name = {job}
