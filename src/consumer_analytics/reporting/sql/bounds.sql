-- The first and the last snapshot: two look-ups in the unique index.
select min(snapshot_timestamp), max(snapshot_timestamp)
from public.consumer_analytics
where {whose}
