-- Consumers' rows that several shards have.
create temporary table shared_rows on commit drop as
select consumer_id, snapshot_timestamp
from pg_temp.shard_rows
where consumer_id is not null
group by consumer_id, snapshot_timestamp
having count(*) > 1
