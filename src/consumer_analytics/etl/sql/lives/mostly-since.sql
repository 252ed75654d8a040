-- Whether more of the source's time lies after an instant than before it.
select coalesce(
    %(first)s::timestamptz - min(created_at)::timestamptz < max(created_at)::timestamptz - %(first)s::timestamptz,
    false
)
from {customer_events} as customer_events
where created_at > '-infinity' and created_at < 'infinity'
