-- The extract of the events, where there is nothing to read: as the steps leave it.
create temporary table extracted_events on commit drop as
select {event_columns}
from consumer_analytics_internal.extracted_events
with no data
