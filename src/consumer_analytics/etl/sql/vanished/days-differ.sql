-- Days of which anything was judged, as a datemultirange.
select range_agg(daterange(day, day, '[]'))::text
from (select distinct day from event_judged) as days
