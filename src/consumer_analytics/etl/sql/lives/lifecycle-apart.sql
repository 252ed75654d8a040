-- In a table of its own, where much of the source is read: it is read once.
create temporary table lifecycle_events on commit drop as
select *
from {lifecycle} as lifecycle
