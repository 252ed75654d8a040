-- Rows that capture saw go, and come back, of customers whose deletion an event tells: that is when
-- they went, and whether another life began then events tell as well. In the order in which each
-- happened. Events may tell of all that under times from long before the row was seen to go.
with ends as materialized (
    select
        known.customer_id,
        known.deleted_at,
        row_number() over (partition by known.customer_id order by known.deleted_at) as place
    from consumer_analytics_internal.deleted_customers as known
    where known.customer_id in (select customer_id from pg_temp.concerned_customers)
        and known.ended_by = 'row'
        and (
            exists (select from {customers} as today where today.customer_id = known.customer_id)
            or exists (
                select from consumer_analytics_internal.deleted_customers as later
                where later.customer_id = known.customer_id
                    and later.ended_by = 'row'
                    and later.deleted_at > known.deleted_at
            )
        )
),

deletions as (
    select customer_id, at, row_number() over (partition by customer_id order by at) as place
    from (
        select distinct customer_id, at
        from {lifecycle} as lifecycle
        where customer_id in (select customer_id from ends)
            and event_type = {customer_deletion}
            and not exists (
                select from consumer_analytics_internal.deleted_customers as known
                where known.customer_id = lifecycle.customer_id
                    and known.deleted_at = lifecycle.at
                    and known.ended_by = 'event'
            )
    ) as unknown
)

update consumer_analytics_internal.deleted_customers as known
set deleted_at = deletions.at, known_since = now(), reborn_at = null, reborn_from = null
from ends
join deletions using (customer_id, place)
where known.customer_id = ends.customer_id
    and known.deleted_at = ends.deleted_at
    and deletions.at <= ends.deleted_at
