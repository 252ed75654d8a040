-- From which day on days are the source table's.
select first_day
from consumer_analytics_internal.archive
