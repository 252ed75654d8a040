-- Whether the job has its row of state: the schema came with it.
select exists (select from consumer_analytics_internal.state where job_name = {job})
