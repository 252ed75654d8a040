-- Customers whose ended lives have to be worked out: nobody has yet, or an event of theirs in
-- the ranges that are read says something of it. `looking_back`: rows that came late may also
-- tell an earlier birth, and a deletion may be gone. `is_postponed`: what nobody has worked out may
-- wait, until somebody asks for it or looks back.
create temporary table concerned_customers on commit drop as
with lifecycle as {materialized} (
    select customer_id, event_type, at
    from {lifecycle} as events
)

select customer_id
from lifecycle
where event_type = {customer_deletion}
    and not exists (
        select from consumer_analytics_internal.deleted_customers as known
        where known.customer_id = lifecycle.customer_id
            and known.deleted_at = lifecycle.at
            and known.ended_by = 'event'
            and (known.born_from is not null or {is_postponed})
    )
union
select customer_id
from lifecycle
where exists (
    select from consumer_analytics_internal.deleted_customers as known
    where known.customer_id = lifecycle.customer_id
        and lifecycle.at is distinct from known.reborn_at
        and lifecycle.at <> known.deleted_at
        and ({looking_back} or lifecycle.at > known.deleted_at)
)
union
-- As far as somebody asks for it.
select customer_id
from consumer_analytics_internal.deleted_customers
where born_from is null and ({looking_back} or deleted_at >= %(first)s::timestamptz)
{also}
