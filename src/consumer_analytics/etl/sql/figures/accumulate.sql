-- Every consumer's figures at the instants of the slots {first} to {last}: a
-- dense grid of consumers and slots, summed up along the slots, in that order.
with moved as (
    select
        consumer_id,
        slot,
        coalesce(listed.since <= slot, false) as registered,
        coalesce(event_cell.{fresh}, 0) as new_events,
        coalesce(customer_cell.born, 0) as new_customers
        {accumulated}
    from listed_consumers as listed
    cross join generate_series({first}, {last}) as slot
    left join (select * from event_cells where slot between {first} and {last}) as event_cell using (consumer_id, slot)
    left join (select * from customer_cells where slot between {first} and {last}) as customer_cell using (consumer_id, slot)
    where listed.begins <= slot
    window so_far as (partition by consumer_id order by slot rows unbounded preceding)
)

select
    moved.consumer_id,
    moved.slot,
    moved.registered,
    moved.new_events,
    moved.new_customers
    {added}
from moved
{before}
