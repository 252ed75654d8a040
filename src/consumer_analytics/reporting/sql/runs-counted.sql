-- How many runs of a range failed, and how many went well, of those up to one more than are shown.
select
    (
        select count(*)
        from consumer_analytics_internal.runs
        where state = 'failed' and opened_at between %(since)s and %(until)s
    ),
    (
        select count(*)
        from (
            select
            from consumer_analytics_internal.runs
            where state = 'success' and opened_at between %(since)s and %(until)s
            limit %(points)s + 1
        ) as well
    )
