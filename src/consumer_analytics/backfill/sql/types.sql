-- Event types that are likely to come up; one that is missed costs time, no more.
select event_type
from consumer_analytics_internal.event_totals
union
select {event_type_name}
from (
    select event_type
    from {sampled} as customer_events
    limit 50000
) as sampled
