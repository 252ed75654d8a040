-- A consumer's last snapshot at or before an instant.
select max(snapshot_timestamp)
from public.consumer_analytics
where consumer_id = %(consumer)s and snapshot_timestamp <= %(until)s
