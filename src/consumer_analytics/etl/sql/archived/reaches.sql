-- The first day that is the source table's, where some of these days are before it.
select first_day
from consumer_analytics_internal.archive
where daterange(null, first_day) && %(days)s::datemultirange
