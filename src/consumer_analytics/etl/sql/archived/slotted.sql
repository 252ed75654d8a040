-- How many rows of the files were counted.
select coalesce(sum(events), 0)::bigint
from pg_temp.archived_slots
