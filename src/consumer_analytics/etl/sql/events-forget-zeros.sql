with days as (
    delete from consumer_analytics_internal.event_days where n = 0
)

delete from consumer_analytics_internal.event_totals where n = 0
