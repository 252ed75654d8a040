-- One row for each consumer in some slots, of which several parts have some.
with moved as (
    delete from backfill_counted
    where slot = any(%(slots)s::int[])
    returning *
)

insert into backfill_counted (consumer_id, slot, events {columns})
select consumer_id, slot, consumer_analytics_internal.total(events) {summed}
from moved
group by consumer_id, slot
