-- How many events an extract has counted.
select coalesce(sum(n), 0)::bigint
from pg_temp.extracted_events
