-- The snapshots of the whole system: the sums of its consumers' figures at the
-- same instant, and what belongs to none.
select
    null::uuid as consumer_id,
    instants.at as snapshot_timestamp,
    concat({document})::jsonb as metrics_json
from instants
join (
    select
        instants.slot,
        count(consumer_id) as consumers,
        coalesce(sum(customers), 0)::bigint as customers,
        coalesce(sum(events), 0)::bigint as events,
        coalesce(sum(new_customers), 0)::bigint as new_customers,
        coalesce(sum(new_events), 0)::bigint as new_events
        {summed}
    from instants
    left join figures on figures.slot = instants.slot and (registered or events > 0 or customers > 0)
    group by instants.slot
) as whole using (slot)
join (
    select
        instants.slot,
        coalesce(sum(stray.events), 0)::bigint as stray_events,
        coalesce(sum(stray.customers), 0)::bigint as stray_customers
    from instants
    left join (
        {stray_before}
        select slot, events, 0 as customers
        from event_cells
        where consumer_id is null and slot >= {first}
        union all
        select slot, 0, customers
        from customer_cells
        where consumer_id is null and slot >= {first}
    ) as stray
        on stray.slot <= instants.slot
    group by instants.slot
) as stray using (slot)
{joined}
