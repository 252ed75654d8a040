-- Rows that not every shard was asked for, in one window, are left for later; answers their
-- instants. What no shard has any row of waits for nobody: it is there no more.
with told as materialized (
    select
        asked.consumer_id,
        asked.snapshot_timestamp,
        count(distinct one.shard) filter (where coalesce(own.window_start, whole.window_start) is not null)
            as shards,
        count(distinct coalesce(own.window_start, whole.window_start)) as windows
    from pg_temp.shard_pairs as asked
    cross join unnest(%(shards)s::text[]) as one (shard)
    left join pg_temp.shard_apart as own
        on own.shard = one.shard
            and own.consumer_id = asked.consumer_id
            and own.snapshot_timestamp = asked.snapshot_timestamp
    left join pg_temp.shard_apart as whole
        on whole.shard = one.shard
            and whole.consumer_id is null
            and whole.snapshot_timestamp = asked.snapshot_timestamp
    group by asked.consumer_id, asked.snapshot_timestamp
),

early as materialized (
    select consumer_id, snapshot_timestamp
    from told
    where (shards < cardinality(%(shards)s::text[]) or windows > 1)
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
