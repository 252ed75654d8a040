-- Customers as they stood at each of the run's instants. The rows written here are changes,
-- and the figures at instant j are the sum of slots 0 to j. Where there is one instant
-- alone, slot 1 holds what came before as well.
with {changes},

extracted as (
    insert into {extracted_customers}
        ({change_columns})
    select {change_columns}
    from changes
    where slot < cardinality(%(bounds)s::timestamptz[])
        and (n <> 0 or dated <> 0 or created_us <> 0 or born <> 0)
    returning consumer_id, n, born
)

select
    coalesce(sum(n), 0)::bigint as customers,
    coalesce(sum(born), 0)::bigint as new_customers,
    coalesce(sum(n) filter (where consumer_id is null), 0)::bigint as unattributed_customers,
    (select coalesce(sum(future), 0)::bigint from present) as future_customers
from extracted
