-- Events that have vanished, also those that somebody has accepted since. Where in its day one without
-- a consumer lay, no snapshot has told: it may have been anywhere.
lost as not materialized (
    select
        gone.consumer_id,
        gone.event_type,
        case when whole_day then date_trunc('day', gone.since) else gone.since end as since,
        case when whole_day then date_trunc('day', gone.since) + interval '1 day' else gone.until end as until,
        gone.is_accepted
    from (
        select consumer_id, event_type, since, until, false as is_accepted
        from consumer_analytics_internal.vanished_events
        union all
        select consumer_id, event_type, since, until, true
        from consumer_analytics_internal.accepted_events
    ) as gone
    cross join lateral (
        select gone.consumer_id is null and gone.until <= date_trunc('day', gone.since) + interval '1 day' as whole_day
    ) as stretch
)
