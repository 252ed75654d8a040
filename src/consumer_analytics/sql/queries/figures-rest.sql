-- The figures of types and statuses without a column at the slots {first} to
-- {last}, as they stand in the snapshots' JSON.
create temporary table figures_rest {lifetime} as
with moved as (
    select pair, slot, sum(rest_cells.n::{cell}) over (partition by pair order by slot) as n
    from rest_pairs
    cross join generate_series({first}, {last}) as slot
    left join rest_cells using (pair, slot)
    where begins <= slot
)

select
    consumer_id,
    slot,
    string_agg(concat(key, total), '') filter (where kind = 'event_type') as by_type,
    string_agg(concat(key, total), '') filter (where kind = 'status') as by_status
from moved
join rest_pairs using (pair)
left join rest_before as before using (pair)
cross join lateral (select coalesce(moved.n, 0) + coalesce(before.n, 0)) as summed (total)
where total <> 0
group by consumer_id, slot
