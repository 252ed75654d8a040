-- Rows by consumer, type and the last cut at or before them, in microseconds since 1970.
select rows.consumer_id, cuts.us as since, rows.event_type, count(*) as n
from ({rows}) as rows
asof join cuts on rows.us >= cuts.us
group by all
