-- The first instant whose window is not the same in all shards.
select snapshot_timestamp, array_agg(shard order by window_start, shard)
from (
    select shard, snapshot_timestamp, metrics_json #>> '{{incremental_stats,window_start}}' as window_start
    from pg_temp.shard_rows
    where consumer_id is null
) as told
group by snapshot_timestamp
having count(distinct window_start) > 1
order by snapshot_timestamp
limit 1
