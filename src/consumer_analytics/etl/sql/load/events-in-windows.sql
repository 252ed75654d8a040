-- How many events the windows of a run's snapshots hold; the load has left them by slot.
select coalesce(sum(n), 0)::bigint
from pg_temp.event_slots
where slot <= %(last)s
