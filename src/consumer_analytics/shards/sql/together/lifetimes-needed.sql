-- Of which consumers, and at which instants, several shards tell a mean lifetime.
with told as materialized (
    select consumer_id, snapshot_timestamp
    from pg_temp.shared_rows
    join pg_temp.shard_rows as rows using (consumer_id, snapshot_timestamp)
    where jsonb_typeof(rows.metrics_json -> 'avg_customer_lifetime_days') = 'number'
    group by consumer_id, snapshot_timestamp
    having count(*) > 1
)

select
    (select array_agg(distinct snapshot_timestamp order by snapshot_timestamp) from told),
    (select array_agg(distinct consumer_id) from told)
