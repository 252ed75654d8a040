-- Whether runs have counted here, or snapshots were written.
select
    exists (select from public.consumer_analytics)
    or exists (
        select from consumer_analytics_internal.state
        where processed_through > '-infinity'
    )
