-- The days that differ, each with the day after it. What lies before the calendar is its first day.
select distinct
    greatest(day, '0001-01-01') as day,
    greatest(day, '0001-01-01') + 1 as after
from pg_temp.differing_events
order by 1
