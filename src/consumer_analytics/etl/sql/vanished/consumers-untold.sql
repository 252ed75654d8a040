-- Those of these consumers that no note tells of, and no snapshot.
select asked.consumer_id
from unnest(%(consumers)s::uuid[]) with ordinality as asked (consumer_id, place)
where not exists (
    select
    from consumer_analytics_internal.vanished_events as v
    where v.consumer_id = asked.consumer_id
)
and not exists (select from public.consumer_analytics as a where a.consumer_id = asked.consumer_id)
order by place
