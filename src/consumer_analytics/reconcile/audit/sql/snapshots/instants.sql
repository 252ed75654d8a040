-- The instants of a range: those that were written, by their scopes, and those that are there. Of some nobody can
-- tell the figures: events have vanished around them, some before and some after.
select
    at,
    not exists (
        select
        from consumer_analytics_internal.vanished_events
        where {is_noted} and since < at and until > at
    ) as is_recountable
from (
    select at
    from audit_scopes
    union
    select snapshot_timestamp
    from public.consumer_analytics
) as known
where at >= %(lower)s::timestamptz and at <= %(upper)s::timestamptz
order by at
