-- The first and the last snapshot of all, whosever: two look-ups in an index.
select min(snapshot_timestamp), max(snapshot_timestamp)
from public.consumer_analytics
