-- Stretches of days, one by one.
select generate_series(lower(stretch), upper(stretch) - 1, interval '1 day')::date
from unnest(%(days)s::datemultirange) as stretch
order by 1
