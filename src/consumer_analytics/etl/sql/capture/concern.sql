-- Customers whose ended lives what capture noted may change. Not those of whom it saw an event go
-- and no more: what was told once stays, as the event may have vanished, which nobody has judged yet.
-- Where it was taken out on purpose the sweep works out what follows.
create temporary table concerned_customers on commit drop as
select distinct note.customer_id
from consumer_analytics_internal.touched_customers as note
where note.came_at is not null
    or exists (
        select from {customer_events} as event
        where event.customer_id = note.customer_id
            and event.created_at = note.event_at
            and event.event_type::text in ({customer_creation}, {customer_status_change}, {customer_deletion})
    )
    or (
        note.event_at is null
        and not exists (select from {customers} as today where today.customer_id = note.customer_id)
    )
union
-- A creation since the last run may follow a deletion that the row has contradicted until then.
select begun.customer_id
from (
    select distinct customer_id
    from {customer_events} as customer_events
    where created_at >= %(processed_through)s::timestamptz
        and event_type::text = {customer_creation}
) as begun
cross join lateral (
    select today.created_at
    from {customers} as today
    where today.customer_id = begun.customer_id
    offset 0
) as today
where (today.created_at < %(processed_through)s::timestamptz or today.created_at is null)
    and %(processed_through)s::timestamptz > '-infinity'
union
-- A deletion since the last run, of whom no row was seen to go: it may tell of who was never there.
select event.customer_id
from {customer_events} as event
where event.created_at >= %(processed_through)s::timestamptz
    and event.event_type::text = {customer_deletion}
    and event.customer_id is not null
    and not exists (
        select from consumer_analytics_internal.deleted_customers as known
        where known.customer_id = event.customer_id
    )
union
-- What nothing but events of any kind tells, a birth by the earliest or an owner by the latest: one in
-- a day that it noted may tell it instead.
select event.customer_id
from (select distinct day from consumer_analytics_internal.touched_days) as noted
join {told_events} as event
    on event.created_at >= noted.day and event.created_at < noted.day + 1
join consumer_analytics_internal.deleted_customers as known using (customer_id)
where (
    known.born_from in ('event', 'deletion', 'nothing')
    and event.created_at < coalesce(known.created_at, 'infinity')
) or (
    known.consumer_from in ('event', 'nothing')
    and event.created_at <= known.deleted_at
)
