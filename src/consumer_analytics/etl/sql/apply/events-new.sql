-- What a run changes in the counts by day, where none is counted again and no instant cuts one in
-- two: what was extracted is what is new.
create temporary table event_changes on commit drop as
select consumer_id, day, event_type, n
from {extracted_events} as extracted
