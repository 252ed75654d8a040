-- Whether a run, by the engine's name for it, missed its deadline.
select
from consumer_analytics_internal.deadline_misses
where concat_ws(':', 'airflow', dag_id, run_id) = %(run)s
limit 1
