-- The customers' changes by consumer and slot, one column for each status that has
-- one. It must be all of them: where one was overlooked, `customers` is not the
-- columns' sum.
create temporary table customer_cells {lifetime} as
with {lives},

changes as (
    select
        consumer_id,
        width_bucket(created_at::timestamptz, %(bounds)s::timestamptz[]) as slot,
        coalesce(status::text, '') as gained,
        null as lost,
        1 as n,
        case when isfinite(created_at) then 1 end as dated,
        case when isfinite(created_at) then (tstzrange_subdiff(created_at::timestamptz, 'epoch') * 1e6)::bigint end
            as created_us,
        case when created_at >= (%(bounds)s::timestamptz[])[1] then 1 end as born
    from {customers} as customers
    where created_at < %(last)s::timestamptz
    union all
    select consumer_id, change.slot, coalesce(change.gained, ''), coalesce(change.lost, ''), null, null, null, null
    from unlike
    cross join lateral (
        values (from_slot, status, status_today), (until_slot, status_today, status)
    ) as change (slot, gained, lost)
    union all
    select
        consumer_id,
        slot,
        case when n = 1 then status end,
        case when n = -1 then status end,
        n,
        dated,
        created_us,
        born
    from returned
)

select
    consumer_id,
    {slot_of_cell} as slot,
    coalesce(sum(n), 0)::bigint as customers,
    coalesce(sum(dated), 0)::bigint as dated,
    coalesce(sum(created_us), 0) as created_us,
    coalesce(sum(born), 0)::bigint as born
    {pivoted}
from changes
where slot < cardinality(%(bounds)s::timestamptz[])
group by 1, 2
