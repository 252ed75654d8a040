-- Whose customers notes of days gone by are about; NULL among them: anybody's.
select distinct consumer_id
from consumer_analytics_internal.touched_days
where customers and day < %(known)s::timestamptz
