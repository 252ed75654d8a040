-- What is known of the days that are counted again.
from consumer_analytics_internal.event_days
where day >= lower(%(recount)s::datemultirange)
    and day < upper(%(recount)s::datemultirange)
    and day <@ %(recount)s::datemultirange
