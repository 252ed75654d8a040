-- Add what events-changes found of no consumer to the totals: a join does not find
-- them, the unique index does.
insert into consumer_analytics_internal.event_totals as known (consumer_id, event_type, n)
select null, event_type, consumer_analytics_internal.total(n)
from pg_temp.event_changes
where consumer_id is null
group by event_type
on conflict (consumer_id, event_type) do update set n = known.n + excluded.n
