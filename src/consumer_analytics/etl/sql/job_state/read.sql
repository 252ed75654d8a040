-- Where the job stands. The source's oldest event tells what was purged: days
-- before it that were counted once. What was seen so once is remembered, so that
-- an old row that comes in later does not make emptied days seem whole.
select
    state.processed_through,
    state.version,
    greatest(
        state.purged_before,
        case
            when known.first_day is null then null
            when source.oldest is null then state.processed_through
            when known.first_day < source.oldest::date then least(source.oldest, state.processed_through)
        end
    ) as purged_before,
    noted.days,
    noted.notes,
    noted.restates_from
from consumer_analytics_internal.state as state
cross join (
    select min(created_at)::timestamptz as oldest
    from {customer_events}
) as source
cross join (
    select min(day) as first_day
    from consumer_analytics_internal.event_days
) as known
cross join lateral (
    select
        coalesce(array_agg(distinct day order by day), '{{}}') as days,
        count(*) as notes,
        min(day) filter (where restates) as restates_from
    from (
        select greatest(touched.day, '0001-01-01') as day, touched.restates
        from consumer_analytics_internal.touched_days as touched
        where touched.day < state.processed_through
    ) as below
) as noted
where state.job_name = {job}
