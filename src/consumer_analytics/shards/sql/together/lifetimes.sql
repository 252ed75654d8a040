-- How many customers consumers had at some instants, how many of them tell when they were born,
-- and the sum of that. Slots are as in customers-extract.
create temporary table told_lifetimes on commit drop as
select consumer_id, at, customers, dated, created_us
from (
    select
        consumers.consumer_id,
        instants.at,
        consumer_analytics_internal.total(coalesce(moved.n, 0)) over so_far as customers,
        consumer_analytics_internal.total(coalesce(moved.dated, 0)) over so_far as dated,
        sum(coalesce(moved.created_us, 0)) over so_far as created_us
    from (
        select distinct consumer_id
        from pg_temp.extracted_customers
        where consumer_id = any(%(consumers)s::uuid[])
    ) as consumers
    cross join unnest(%(snapshots)s::timestamptz[]) with ordinality as instants (at, slot)
    left join (
        select
            consumer_id,
            greatest(slot, 1) as slot,
            sum(n)::bigint as n,
            sum(dated)::bigint as dated,
            sum(created_us) as created_us
        from pg_temp.extracted_customers
        group by consumer_id, greatest(slot, 1)
    ) as moved
        on moved.consumer_id = consumers.consumer_id and moved.slot = instants.slot
    window so_far as (partition by consumers.consumer_id order by instants.slot)
) as told
