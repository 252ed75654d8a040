-- How many consumers have rows in a snapshot, about.
select count(*)
from (
    select consumer_id from {consumers} as consumers
    union
    select consumer_id from consumer_analytics_internal.event_totals
) as consumers
