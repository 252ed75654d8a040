-- How many rows of the files were counted, and whether each has a type that has a column.
select coalesce(sum(events), 0)::bigint, coalesce(bool_and(rest is null), true)
from pg_temp.archived_slots
