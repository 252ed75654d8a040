-- What a run tells that has loaded.
select summary
from consumer_analytics_internal.runs
where run_key = %(key)s and state = 'success'
