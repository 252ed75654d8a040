-- Instants that have a snapshot, from the first on and before the last.
select count(*)
from public.consumer_analytics
where consumer_id is null
    and snapshot_timestamp >= %(from)s
    and snapshot_timestamp < %(until)s
