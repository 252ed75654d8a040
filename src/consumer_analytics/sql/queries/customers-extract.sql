-- Customers as they stood at each of the run's instants: today's rows with the
-- lifecycle events from an instant on undone. The rows written here are changes,
-- and the figures at instant j are the sum of slots 0 to j. Where there is one
-- instant alone, slot 1 holds what came before as well.
with {undone},

restored as (
    select
        consumer_id,
        change.slot,
        case when change.status ~ '\S' then change.status else '(none)' end as status,
        change.n
    from unlike
    cross join lateral (
        values (from_slot, status, 1), (from_slot, status_today, -1), (until_slot, status, -1), (until_slot, status_today, 1)
    ) as change (slot, status, n)
),

present as materialized ({present}),

changes as (
    select
        consumer_id,
        slot,
        case when status ~ '\S' then status else '(none)' end as status,
        n,
        dated,
        created_us,
        born
    from present
    union all
    select consumer_id, slot, status, n, null, null, null
    from restored
    union all
    select consumer_id, slot, status, n, dated, created_us, born
    from returned
),

extracted as (
    insert into {extracted_customers}
        (run_id, consumer_id, slot, status, n, dated, created_us, born)
    select %(run_id)s, consumer_id, slot, status, n, dated, created_us, born
    from (
        select
            consumer_id,
            slot,
            status,
            sum(n) as n,
            coalesce(sum(dated), 0) as dated,
            coalesce(sum(created_us), 0) as created_us,
            coalesce(sum(born), 0) as born
        from changes
        where slot < cardinality(%(bounds)s::timestamptz[])
        group by consumer_id, slot, status
    ) as summed
    where n <> 0 or dated <> 0 or created_us <> 0 or born <> 0
    returning consumer_id, n, born
)

select
    coalesce(sum(n), 0)::bigint as customers,
    coalesce(sum(born), 0)::bigint as new_customers,
    coalesce(sum(n) filter (where consumer_id is null), 0)::bigint as unattributed_customers,
    (select coalesce(sum(future), 0)::bigint from present) as future_customers
from extracted
