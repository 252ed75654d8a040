-- What an extract has found of the days that are counted again, of what was counted.
select consumer_id, event_type, day, n
from {extracted_events} as extracted
where not fresh
