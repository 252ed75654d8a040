-- Those of these consumers that no row tells of.
select asked.consumer_id
from unnest(%(consumers)s::uuid[]) with ordinality as asked (consumer_id, place)
where not exists (select from {consumers} as c where c.consumer_id = asked.consumer_id)
    and not exists (
        select
        from consumer_analytics_internal.event_totals as t
        where t.consumer_id = asked.consumer_id
    )
    and not exists (select from {customers} as c where c.consumer_id = asked.consumer_id)
    and not exists (select from {customer_events} as e where e.consumer_id = asked.consumer_id)
order by place
