-- Where the job stands, and the days below that of which something has changed.
select
    state.processed_through,
    state.version,
    noted.days,
    noted.notes,
    noted.restates_from,
    noted.customers_from
from consumer_analytics_internal.state as state
cross join lateral (
    select
        coalesce(array_agg(distinct day order by day), '{{}}') as days,
        count(*) as notes,
        min(day) filter (where restates) as restates_from,
        min(day) filter (where customers) as customers_from
    from (
        select greatest(touched.day, '0001-01-01') as day, touched.restates, touched.customers
        from consumer_analytics_internal.touched_days as touched
        where touched.day < state.processed_through
    ) as below
) as noted
where state.job_name = {job}
