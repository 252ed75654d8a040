-- Where the watermark has been: after the last good run of each slice of time, and after the one
-- before that, shown or not; an index look-up each. The one before is looked for nearby
-- first: without a bound half a page of the index would be gone through for each.
select
    last.finished_at,
    last.mark,
    coalesce(
        (
            select {mark}
            from consumer_analytics_internal.runs as run
            where run.opened_at < last.opened_at
                and run.opened_at > slice.begins - (slice.ends - slice.begins)
                and run.state = 'success'
            order by run.opened_at desc
            limit 1
        ),
        (
            select {mark}
            from consumer_analytics_internal.runs as run
            where run.opened_at < last.opened_at and run.state = 'success'
            order by run.opened_at desc
            limit 1
        )
    ) as before
from {slices} as slice
cross join lateral (
    select run.opened_at, run.finished_at, {mark} as mark
    from consumer_analytics_internal.runs as run
    where run.opened_at > slice.begins and run.opened_at <= slice.ends and run.state = 'success'
    order by run.opened_at desc
    limit 1
) as last
order by last.opened_at
