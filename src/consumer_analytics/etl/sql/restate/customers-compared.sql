-- As far as what snapshots say of customers has been compared, everybody's; all of them where it is null.
update consumer_analytics_internal.state
set
    customers_after = %(after)s,
    customers_of = null
where job_name = {job}
