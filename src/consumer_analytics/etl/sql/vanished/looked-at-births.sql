-- All that may have told a birth until now has been looked at.
update consumer_analytics_internal.state
set births_looked_through = processed_through
where job_name = {job} and births_looked_through <> processed_through
