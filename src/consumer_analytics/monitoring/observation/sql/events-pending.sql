-- How many events wait: from before the instant that was due, and from before now; each counted
-- no further than a limit. A watermark set ahead hides none: a run reads from where the counts
-- have come to.
with unread as materialized (
    select least(%(watermark)s::timestamptz, processed_through) as since
    from consumer_analytics_internal.state
    where job_name = {job}
)

select
    (
        select count(*)
        from (
            select
            from {customer_events} as customer_events
            where created_at >= (select since from unread) and created_at < %(due)s::timestamptz
            limit %(limit)s
        ) as counted
    ) as pending,
    (
        select count(*)
        from (
            select
            from {customer_events} as customer_events
            where created_at >= (select since from unread) and created_at < %(now)s::timestamptz
            limit %(limit)s
        ) as counted
    ) as backlog
