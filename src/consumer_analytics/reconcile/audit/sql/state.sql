-- How far runs have counted, and whether the next one repairs something by itself.
select
    processed_through,
    restate_after is not null
    or customers_after is not null
    or exists (select from consumer_analytics_internal.untold_events)
    or exists (select from consumer_analytics_internal.touched_days)
    or exists (select from consumer_analytics_internal.touched_customers) as is_awaited
from consumer_analytics_internal.state
where job_name = {job}
