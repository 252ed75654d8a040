-- Instants at which the clocks of a zone show something else by the server's rules than by ours.
-- Nothing is reckoned by it: that is the calendar's.
select at, clock, timezone(%(zone)s::text, at) as clock_there, count(*) over () as instants
from unnest(%(instants)s::timestamptz[], %(clocks)s::timestamp[]) as ours (at, clock)
where timezone(%(zone)s::text, at) <> clock
order by at
limit 1
