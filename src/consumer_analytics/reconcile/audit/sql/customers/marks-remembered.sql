-- Ends that no event in the source tells of: of rows that capture saw go, and of deletions that
-- have vanished. And returns, likewise.
insert into audit_marks (customer_id, at, kind, consumer_id, status)
select
    customer_id,
    deleted_at,
    case ended_by when 'row' then 'gone' else 'deletion' end,
    consumer_id,
    status
from consumer_analytics_internal.deleted_customers as remembered
where (
    deleted_at >= %(lower)s::timestamptz
    or exists (select from {customers} as today where today.customer_id = remembered.customer_id)
)
and (
    ended_by = 'row'
    or (
        {is_noted}
        and exists (
            select
            from consumer_analytics_internal.vanished_events as vanished
            where vanished.event_type = {customer_deletion}
                and (
                    (vanished.since <= remembered.deleted_at and vanished.until > remembered.deleted_at)
                    -- Where in its day one without a consumer lay, no snapshot has told.
                    or (
                        vanished.consumer_id is null
                        and date_trunc('day', vanished.since) = date_trunc('day', remembered.deleted_at)
                    )
                )
        )
    )
)
and not exists (
    select
    from audit_marks as known
    where known.customer_id = remembered.customer_id
        and known.at = remembered.deleted_at
        and known.kind = 'deletion'
)
union all
select customer_id, reborn_at, 'back', null, null
from consumer_analytics_internal.deleted_customers as remembered
where reborn_at is not null
    and not exists (
        select
        from audit_marks as known
        where known.customer_id = remembered.customer_id
            and known.at = remembered.reborn_at
            and known.kind = 'creation'
    )
