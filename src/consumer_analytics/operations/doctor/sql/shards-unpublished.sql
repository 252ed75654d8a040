-- What the database is among several, and what of the shards' work is not published.
select
    federation.role,
    federation.name,
    begun.run_key,
    begun.opened_at,
    (select count(*) from consumer_analytics_internal.shards_awaited),
    (select min(snapshot_timestamp) from consumer_analytics_internal.shards_awaited)
from consumer_analytics_internal.federation
left join consumer_analytics_internal.sharded_runs as begun on true
order by begun.pass_id
limit 1
