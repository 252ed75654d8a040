-- How many files a day has.
select count(*)
from consumer_analytics_internal.archived_files
where day = %(day)s::date
