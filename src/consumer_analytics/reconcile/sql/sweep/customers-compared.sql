-- What snapshots since an instant say of customers has been compared.
update consumer_analytics_internal.state
set
    customers_after = null,
    customers_of = null
where job_name = {job} and customers_after >= %(since)s::timestamptz
