-- How many customers at each instant may have come from a consumer of whom none is left: those of
-- one that has more than was reported, and no creation for them, or none that has come since.
select more.at, sum(greatest(least(more.n, arrivals.n), more.n - more.created)) as n
from (
    select
        counted.at,
        counted.consumer_id,
        counted.customers - case
            when jsonb_typeof(kept.metrics_json -> 'total_customers') = 'number'
                then (kept.metrics_json -> 'total_customers')::numeric
            else 0
        end as n,
        greatest(
            counted.creations - case
                when jsonb_typeof(kept.metrics_json -> 'events_by_type' -> {customer_creation}) = 'number'
                    then (kept.metrics_json -> 'events_by_type' -> {customer_creation})::numeric
                else 0
            end,
            0
        ) as created
    from counted
    left join kept on kept.at = counted.at and kept.consumer_id = counted.consumer_id
    where not counted.is_frozen and counted.at in (select at from missed where n > 0)
    union all
    select
        asked.at,
        null,
        coalesce(nobodys.customers, 0) - case
            when jsonb_typeof(kept.metrics_json -> 'unattributed_customers') = 'number'
                then (kept.metrics_json -> 'unattributed_customers')::numeric
            else 0
        end,
        -- Snapshots tell no types of events without a consumer.
        null
    from (select distinct at from missed where n > 0) as asked
    left join nobodys on nobodys.at = asked.at
    left join kept on kept.at = asked.at and kept.consumer_id is null
) as more
cross join lateral (
    select coalesce(sum(life.n), 0) as n
    from audit_arrivals as life
    where more.n > 0
        and life.consumer_id is not distinct from more.consumer_id
        and (life.born < more.at or life.born is null)
        and life.ended >= more.at
) as arrivals
where more.n > 0
group by more.at
