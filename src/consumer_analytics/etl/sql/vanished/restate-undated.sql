-- The birth of a customer whose row has no time is told by events: where some have vanished, who
-- there was has to be asked again.
update consumer_analytics_internal.state
set restate_after = least(state.restate_after, noted.since)
from (select min(since) as since from event_placed where sign = 1) as noted
where job_name = {job}
    and exists (select from {customers} as customers where created_at is null)
