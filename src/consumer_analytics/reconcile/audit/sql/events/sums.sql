-- How many events were counted, the two parts of them, and when the vanished ones were noted.
select
    (
        select coalesce(sum(n), 0)::bigint
        from consumer_analytics_internal.event_days
        where day >= %(from_day)s::date
    ) as counted,
    coalesce(sum(events) filter (where not vanished), 0)::bigint as in_source,
    coalesce(sum(events) filter (where vanished), 0)::bigint as vanished,
    (select min(noted_at) from consumer_analytics_internal.vanished_events) as noted_from,
    (select max(noted_at) from consumer_analytics_internal.vanished_events) as noted_until
from audit_events
where counted and day >= %(from_day)s::date
