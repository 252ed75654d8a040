-- Rows that not every shard was asked for, in one window, are left for later; answers their
-- instants. What no shard has any row of waits for nobody: it is there no more.
with told as materialized (
    select
        asked.consumer_id,
        asked.snapshot_timestamp,
        count(distinct one.shard) as shards,
        count(distinct one.window_start) as windows
    from pg_temp.shard_pairs as asked
    left join pg_temp.shard_apart as one
        on one.snapshot_timestamp = asked.snapshot_timestamp
            and (
                one.consumer_id = asked.consumer_id
                or one.consumer_id is null
                and not exists (
                    select from pg_temp.shard_apart as own
                    where own.shard = one.shard
                        and own.snapshot_timestamp = one.snapshot_timestamp
                        and own.consumer_id = asked.consumer_id
                )
            )
    group by asked.consumer_id, asked.snapshot_timestamp
),

early as materialized (
    select consumer_id, snapshot_timestamp
    from told
    where (shards < %(shards)s or windows > 1)
        and exists (
            select from pg_temp.shard_rows as had
            where had.consumer_id = told.consumer_id and had.snapshot_timestamp = told.snapshot_timestamp
        )
),

rows_left as (
    delete from pg_temp.shard_rows as had
    using early
    where had.consumer_id = early.consumer_id and had.snapshot_timestamp = early.snapshot_timestamp
),

pairs_left as (
    delete from pg_temp.shard_pairs as asked
    using early
    where asked.consumer_id = early.consumer_id and asked.snapshot_timestamp = early.snapshot_timestamp
)

select distinct snapshot_timestamp
from early
order by snapshot_timestamp
