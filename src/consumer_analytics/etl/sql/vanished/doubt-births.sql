-- Lives of which nothing told the birth when they were taken in, since anything looked at everything: where
-- creation events of their consumers have vanished, they are worked out again.
with doubted as (
    update consumer_analytics_internal.deleted_customers as life
    set born_from = null
    from consumer_analytics_internal.state
    where state.job_name = {job}
        and life.born_from = 'deletion'
        and life.deleted_at >= state.births_looked_through
        and coalesce(life.consumer_id, '00000000-0000-0000-0000-000000000000') in (
            select coalesce(placed.consumer_id, '00000000-0000-0000-0000-000000000000')
            from event_placed as placed
            where placed.sign = 1 and placed.event_type = {customer_creation}
        )
    returning 1
)

update consumer_analytics_internal.state
set restate_after = least(
    state.restate_after,
    (select min(since) from event_placed where sign = 1 and event_type = {customer_creation})
)
where job_name = {job} and exists (select from doubted)
