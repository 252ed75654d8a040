-- How many events an extract has counted, and whether any are to be counted under another name than
-- their type's.
select
    coalesce(sum(n), 0)::bigint,
    coalesce(bool_or(({plain_type}) is not true), false)
from pg_temp.extracted_events
