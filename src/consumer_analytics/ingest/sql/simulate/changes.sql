-- How often a status changed.
select count(*)
from simulated_lifecycle
where event_type = {customer_status_change}
