-- Events and customers under types and statuses that have no column of their own.
select kind, consumer_id, slot, name, consumer_analytics_internal.total(n) as n
from (
    select 'event_type' as kind, consumer_id, slot, event_type as name, n
    from {moved_events} as moved
    where event_type <> all (%(types)s::text[])
    union all
    select 'status', consumer_id, slot, status, n
    from {moved_customers} as moved
    where status <> all (%(statuses)s::text[])
) as named
where consumer_id is not null
group by kind, consumer_id, slot, name
