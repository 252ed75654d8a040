-- Whether anything is kept from an instant on that an audit could find to differ: counts, snapshots that are there or
-- were written, revisions. An index look-up each.
select
    exists (
        select
        from consumer_analytics_internal.state
        where job_name = {job} and processed_through > %(lower)s::timestamptz
    )
    or exists (
        select
        from consumer_analytics_internal.event_days
        where day >= %(from_day)s::date
    )
    or exists (
        select
        from public.consumer_analytics
        where snapshot_timestamp >= %(lower)s::timestamptz
    )
    or exists (
        select
        from consumer_analytics_internal.written_snapshots
        where snapshot_timestamp >= %(lower)s::timestamptz
    )
    or exists (
        select
        from public.consumer_analytics_revisions
        where snapshot_timestamp >= %(lower)s::timestamptz
    )
