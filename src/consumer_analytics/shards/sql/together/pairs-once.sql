-- Each pair once.
with taken as (
    delete from pg_temp.shard_pairs
    returning consumer_id, snapshot_timestamp
)

insert into pg_temp.shard_pairs (consumer_id, snapshot_timestamp)
select distinct consumer_id, snapshot_timestamp
from taken
