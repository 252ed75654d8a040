union
select event.customer_id
from (
    select customer_id, created_at
    from {told_events} as customer_events
    where {in_ranges}
) as event
join consumer_analytics_internal.deleted_customers as known using (customer_id)
where (
    known.born_from in ('event', 'deletion', 'nothing')
    and event.created_at < coalesce(known.created_at, 'infinity')
) or (
    known.consumer_from in ('event', 'nothing')
    and event.created_at <= known.deleted_at
)
union
-- A deletion that the source no longer has may have been taken back.
select customer_id
from consumer_analytics_internal.deleted_customers as known
where {ended_in_ranges}
    and ended_by = 'event'
    and not exists (
        select from lifecycle
        where lifecycle.customer_id = known.customer_id
            and lifecycle.event_type = {customer_deletion}
            and lifecycle.at = known.deleted_at
    )
union
-- So may what told a beginning.
select customer_id
from consumer_analytics_internal.deleted_customers as known
where {born_in_ranges}
    and born_from = 'creation'
    and not exists (
        select from lifecycle
        where lifecycle.customer_id = known.customer_id
            and lifecycle.event_type = {customer_creation}
            and lifecycle.at = known.created_at
    )
union
select customer_id
from consumer_analytics_internal.deleted_customers as known
where {reborn_in_ranges}
    and reborn_from = 'creation'
    and not exists (
        select from lifecycle
        where lifecycle.customer_id = known.customer_id
            and lifecycle.event_type = {customer_creation}
            and lifecycle.at = known.reborn_at
    )
union
select customer_id
from consumer_analytics_internal.deleted_customers as known
where {born_in_ranges}
    and born_from = 'event'
    and not exists (
        select from {told_events} as event
        where event.customer_id = known.customer_id and event.created_at = known.created_at
    )
union
-- And what told whose it was, or what it was last, where the deletion does not.
select customer_id
from consumer_analytics_internal.deleted_customers
where consumer_from in ('lifecycle', 'event') and deleted_at >= {first}::timestamptz
union
select customer_id
from consumer_analytics_internal.deleted_customers as known
where {may_be_gone}
    and ended_by = 'event'
    and deleted_at >= {first}::timestamptz
    and not exists (
        select from {told_events} as event
        where event.customer_id = known.customer_id
            and event.created_at = known.deleted_at
            and event.event_type::text = {customer_deletion}
            and case when {readable} then payload_json ->> {status_key} end is not null
    )
