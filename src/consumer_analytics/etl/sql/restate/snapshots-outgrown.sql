-- Snapshots that the counts have outgrown, each with the start of its window.
select
    snapshot_timestamp,
    case
        when start.text ~ '^-infinity$|^\d{{4,}}-\d\d-\d\dT[0-9:.]+[+-][0-9:]+$' then start.text::timestamptz
    end as window_start
from public.consumer_analytics
cross join lateral (select metrics_json #>> '{{incremental_stats,window_start}}') as start (text)
where consumer_id is null
    and snapshot_timestamp > %(after)s::timestamptz
    and snapshot_timestamp <= %(until)s::timestamptz
order by snapshot_timestamp
limit %(limit)s
