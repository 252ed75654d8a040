-- Those of these event types that nothing tells of: none is counted, nor noted, nor was.
select asked.event_type
from unnest(%(types)s::text[]) with ordinality as asked (event_type, place)
where not exists (
    select
    from consumer_analytics_internal.event_totals as total
    where total.event_type = asked.event_type
)
and not exists (
    select
    from consumer_analytics_internal.vanished_events as noted
    where noted.event_type = asked.event_type
)
and not exists (
    select
    from consumer_analytics_internal.accepted_events as accepted
    where accepted.event_type = asked.event_type
)
order by place
