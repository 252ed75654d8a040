-- Which days they cut, as a datemultirange, and where.
select range_agg(daterange(day, day, '[]'))::text, array_agg(distinct at)
from pg_temp.cuts
