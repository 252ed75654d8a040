-- What was backfilled for all consumers, and so has whole snapshots.
select distinct start_date, end_date, period, timezone
from consumer_analytics_internal.backfills
where consumers is null and state = 'done'
