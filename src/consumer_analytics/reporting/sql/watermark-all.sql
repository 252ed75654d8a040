-- Where the watermark has been after every good run of a range, and after the one before it.
select finished_at, mark, before
from (
    select
        run.opened_at,
        run.finished_at,
        {mark} as mark,
        lag({mark}) over (order by run.opened_at) as before
    from consumer_analytics_internal.runs as run
    where run.state = 'success'
        and run.opened_at <= %(until)s
        and run.opened_at >= coalesce(
            (
                select max(earlier.opened_at)
                from consumer_analytics_internal.runs as earlier
                where earlier.state = 'success' and earlier.opened_at < %(since)s
            ),
            %(since)s
        )
) as reached
where opened_at >= %(since)s
order by opened_at
