-- The first and the last event, by an index, or where they are few.
select
    min(created_at)::timestamptz,
    max(created_at)::timestamptz
from {customer_events} as customer_events
where isfinite(created_at)
