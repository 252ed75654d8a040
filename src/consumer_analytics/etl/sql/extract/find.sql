-- A run's extract, and whether it was made for this plan.
select figures, plan = %(plan)s
from consumer_analytics_internal.extracts
where run_id = %(run_id)s and part = %(part)s
