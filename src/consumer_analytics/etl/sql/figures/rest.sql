-- The figures of types and statuses without a column at the slots {first} to
-- {last}, as they stand in the snapshots' JSON. A figure is summed up and written
-- as text where it changes, and stands until it changes again; pairs are numbered
-- in the order of jsonb's keys, and stay in it.
with changes as (
    select pair, slot, sum(n) as n
    from (
        select pair, {first} as slot, n
        from rest_before
        union all
        select pair, slot, n
        from rest_cells
        where slot between {first} and {last}
    ) as cells
    group by pair, slot
),

stretches as (
    select
        pair,
        slot,
        lead(slot, 1, {last} + 1) over moved as until,
        sum(n) over moved as total
    from changes
    window moved as (partition by pair order by slot)
),

pieces as (
    select
        consumer_id,
        slot,
        until,
        case when kind = 'event_type' then concat(key, total) end as type_piece,
        case when kind = 'status' then concat(key, total) end as status_piece
    from stretches
    join rest_pairs using (pair)
    where total <> 0
    order by pair
)

select
    consumer_id,
    at.slot,
    string_agg(type_piece, '') as by_type,
    string_agg(status_piece, '') as by_status
from pieces
cross join lateral generate_series(pieces.slot, until - 1) as at (slot)
group by consumer_id, at.slot
