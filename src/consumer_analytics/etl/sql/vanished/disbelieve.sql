-- Counts by day that the totals do not bear out were never counted: where days hold more than
-- their total, what is missing of them is no loss. As capture notes a change.
insert into consumer_analytics_internal.changed_events (consumer_id, event_type, day, n, doubted)
select known.consumer_id, known.event_type, known.day, least(known.n, doubtful.n), true
from (
    select
        days.consumer_id,
        days.event_type,
        days.n - coalesce(totals.n, 0) as n
    from (
        select consumer_id, event_type, consumer_analytics_internal.total(n) as n
        from consumer_analytics_internal.event_days
        group by 1, 2
    ) as days
    left join consumer_analytics_internal.event_totals as totals
        on totals.event_type = days.event_type
        and coalesce(totals.consumer_id::text, '') = coalesce(days.consumer_id::text, '')
    where days.n > coalesce(totals.n, 0)
) as doubtful
join consumer_analytics_internal.event_days as known
    on known.event_type = doubtful.event_type
    and coalesce(known.consumer_id::text, '') = coalesce(doubtful.consumer_id::text, '')
where known.n > 0
