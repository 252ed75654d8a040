-- What removing what is old of a kind of internal state would remove.
with old_rows as (
    select pg_column_size(aged.*) as bytes
    {aged}
)

select count(*), coalesce(sum(bytes), 0)::bigint
from old_rows
