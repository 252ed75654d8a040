-- Takes out what cannot be added up: instants at which a shard's row holds something else than was written
-- where a number or a map of numbers stands; answers which. One that a single shard has is taken as it is.
with unreadable as materialized (
    select distinct rows.snapshot_timestamp
    from pg_temp.shard_rows as rows
    left join pg_temp.shared_rows as several using (consumer_id, snapshot_timestamp)
    cross join lateral (
        select jsonb_typeof(metrics_json -> 'avg_customer_lifetime_days') as mean
    ) as kinds
    where (rows.consumer_id is null or several.consumer_id is not null)
        and (
            jsonb_typeof(metrics_json) <> 'object'
            or jsonb_typeof(metrics_json -> 'incremental_stats') is distinct from 'object'
            or mean not in ('number', 'null')
            or exists (
                select
                from (values {numbers}) as numbers (said)
                where said !~ '^-?[0-9]{{1,18}}$'
            )
            or exists (
                select
                from unnest({maps}) as map
                cross join lateral (
                    select metrics_json -> map as said
                ) as one
                where jsonb_typeof(said) <> 'object'
                    or exists (
                        select
                        from jsonb_each_text(case when jsonb_typeof(said) = 'object' then said end) as counted (name, n)
                        where n is null or n !~ '^-?[0-9]{{1,18}}$'
                    )
            )
        )
),

rows as (
    delete from pg_temp.shard_rows
    where snapshot_timestamp in (select snapshot_timestamp from unreadable)
),

shared as (
    delete from pg_temp.shared_rows
    where snapshot_timestamp in (select snapshot_timestamp from unreadable)
),

pairs as (
    delete from pg_temp.shard_pairs
    where snapshot_timestamp in (select snapshot_timestamp from unreadable)
)

select snapshot_timestamp
from unreadable
order by snapshot_timestamp
