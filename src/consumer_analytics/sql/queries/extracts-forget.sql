delete from consumer_analytics_internal.{table}
where run_id = %(run_id)s
    or run_id in (
        select run_id
        from consumer_analytics_internal.runs
        where state <> 'open' or opened_at < now() - interval '7 days'
    )
