-- How many events from before an instant wait, counted no further than a limit.
select count(*)
from (
    select
    from {customer_events}
    where created_at >= (
        select least(%(watermark)s::timestamptz, processed_through)
        from consumer_analytics_internal.state
        where job_name = %(job)s
    )
        and created_at < %(upper)s::timestamptz
    limit %(limit)s
) as counted
