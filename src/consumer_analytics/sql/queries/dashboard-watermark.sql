-- Where the watermark has been: the last good run of each slice of time, an index look-up each.
select last.finished_at, last.reached_at
from unnest(%(begins)s::timestamptz[], %(ends)s::timestamptz[]) as slice (begins, ends)
cross join lateral (
    select opened_at, finished_at, reached_at
    from consumer_analytics_internal.runs
    where opened_at > slice.begins and opened_at <= slice.ends and state = 'success'
    order by opened_at desc
    limit 1
) as last
order by last.opened_at
