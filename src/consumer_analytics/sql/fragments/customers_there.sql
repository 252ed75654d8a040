-- Who there was at each of the `instants`, by consumer, from `chosen_changes` of what was extracted.
-- Sums stand from one change of a consumer's status until the next one: none is added up again for
-- each instant.
stretches as (
    select
        consumer_id,
        status,
        greatest(slot, 1) as slot,
        lead(slot, 1, (select max(slot) from instants) + 1) over so_far as until,
        sum(n) over so_far as n,
        sum(dated) over so_far as dated,
        sum(us) over so_far as us
    from (
        select consumer_id, slot, status, sum(n) as n, sum(dated) as dated, sum(created_us) as us
        from chosen_changes
        group by consumer_id, slot, status
    ) as changes
    window so_far as (partition by consumer_id, status order by slot)
),

there as materialized (
    select
        consumer_id,
        each_of_them.slot,
        sum(n) as total,
        jsonb_object_agg(status, n::bigint) filter (where n <> 0) as by_status,
        sum(dated) as dated,
        sum(us) as us
    from stretches
    cross join lateral generate_series(stretches.slot, until - 1) as each_of_them (slot)
    group by consumer_id, each_of_them.slot
)
