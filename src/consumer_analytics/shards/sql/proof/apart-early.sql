-- Only rows of consumers whom each shard was asked for, in the same window, are published.
with told as materialized (
    select asked.consumer_id, asked.at
    from (
        select distinct consumer_id, at
        from pg_temp.proof_apart
        where consumer_id is not null
    ) as asked
    cross join unnest(%(shards)s::text[]) as one (shard)
    left join pg_temp.proof_apart as own
        on own.shard = one.shard and own.at = asked.at and own.consumer_id = asked.consumer_id
    left join pg_temp.proof_apart as whole
        on whole.shard = one.shard and whole.at = asked.at and whole.consumer_id is null
    group by asked.consumer_id, asked.at
    having bool_and(coalesce(own.window_start, whole.window_start) is not null)
        and count(distinct coalesce(own.window_start, whole.window_start)) = 1
)

delete from pg_temp.proof_rows as had
where not exists (
    select from told
    where told.consumer_id = had.consumer_id and told.at = had.at
)
