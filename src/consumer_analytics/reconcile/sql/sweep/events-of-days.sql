-- What was extracted of some days.
create temporary table events_of_days on commit drop as
select {event_columns}
from {extracted_events} as extracted
where day <@ %(recount)s::datemultirange
