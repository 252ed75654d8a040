-- Remove what is old of a kind of internal state; how many rows, and their own size.
with removed as (
    delete {aged}
    returning pg_column_size(aged.*) as bytes
)

select count(*), coalesce(sum(bytes), 0)::bigint
from removed
