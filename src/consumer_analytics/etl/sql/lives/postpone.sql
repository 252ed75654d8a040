-- Where a customer's events cannot be looked up, lives that ended before what is asked for are
-- only noted, with what their deletion says: the sweep looks at all events, once for all of them.
-- Not those of whom more is to be known now: whose row is there, who was remembered before.
insert into consumer_analytics_internal.deleted_customers
    (customer_id, deleted_at, ended_by, consumer_id, consumer_from, status)
select distinct on (customer_id, at)
    customer_id,
    at,
    'event',
    consumer_id,
    case when consumer_id is not null then 'deletion' end,
    status
from {lifecycle} as lifecycle
where event_type = {customer_deletion}
    and at < %(first)s::timestamptz
    and not exists (select from {customers} as today where today.customer_id = lifecycle.customer_id)
    and not exists (
        select from consumer_analytics_internal.deleted_customers as known
        where known.customer_id = lifecycle.customer_id
    )
order by customer_id, at, event_id
on conflict do nothing
