-- The start of each snapshot's window, as its global row has it.
select
    at,
    (
        select
            case
                when start.text ~ '^-infinity$|^\d{{4,}}-\d\d-\d\dT[0-9:.]+[+-][0-9:]+$' then start.text::timestamptz
            end
        from public.consumer_analytics as snapshot
        cross join lateral (
            select snapshot.metrics_json #>> '{{incremental_stats,window_start}}'
        ) as start (text)
        where snapshot.consumer_id is null and snapshot.snapshot_timestamp = asked.at
        limit 1
    ) as window_start
from unnest(%(snapshots)s::timestamptz[]) as asked (at)
order by at
