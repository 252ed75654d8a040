-- Where the watermark has been: the last good run of each slice of time, and where the one before
-- that had come to, shown or not; an index look-up each. The one before is looked for nearby
-- first: without a bound half a page of the index would be gone through for each.
select
    last.finished_at,
    last.reached_at,
    coalesce(
        (
            select reached_at
            from consumer_analytics_internal.runs
            where opened_at < last.opened_at
                and opened_at > slice.begins - (slice.ends - slice.begins)
                and state = 'success'
            order by opened_at desc
            limit 1
        ),
        (
            select reached_at
            from consumer_analytics_internal.runs
            where opened_at < last.opened_at and state = 'success'
            order by opened_at desc
            limit 1
        )
    ) as before
from {slices} as slice
cross join lateral (
    select opened_at, finished_at, reached_at
    from consumer_analytics_internal.runs
    where opened_at > slice.begins and opened_at <= slice.ends and state = 'success'
    order by opened_at desc
    limit 1
) as last
order by last.opened_at
