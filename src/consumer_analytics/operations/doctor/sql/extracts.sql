-- How many runs that nobody will load have left extracts, and what all extracts take.
-- A run that failed just now may be tried again, and uses them. Zero is what sweeps
-- and restatings use, under the job's lock.
select
    (
        select count(distinct run_id)
        from (
            select run_id from consumer_analytics_internal.extracts
            union
            select run_id from consumer_analytics_internal.extracted_events
            union
            select run_id from consumer_analytics_internal.extracted_customers
        ) as extract
        left join consumer_analytics_internal.runs as run using (run_id)
        where extract.run_id <> 0
            and (
                run.run_id is null
                or run.opened_at < now() - case run.state when 'open' then interval '7 days' else '1 day' end
            )
    ),
    pg_size_pretty(
        pg_total_relation_size('consumer_analytics_internal.extracts')
        + pg_total_relation_size('consumer_analytics_internal.extracted_events')
        + pg_total_relation_size('consumer_analytics_internal.extracted_customers')
    )
