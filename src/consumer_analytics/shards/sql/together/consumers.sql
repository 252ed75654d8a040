-- The rows of consumers: one that a single shard has is that shard's. Of others counts and maps add
-- up; the mean is worked out of the customers that were counted for it, or told by the only shard
-- that has one. Where customers changed since a shard's row was written, the mean waits for them.
with shared as materialized (
    select rows.*
    from pg_temp.shard_rows as rows
    join pg_temp.shared_rows using (consumer_id, snapshot_timestamp)
),

summed as (
    select
        consumer_id,
        snapshot_timestamp,
        extract(epoch from snapshot_timestamp) * 1000000 as at_us,
        (array_agg(metrics_json order by shard))[1] as document,
        count(*) filter (where jsonb_typeof(metrics_json -> 'avg_customer_lifetime_days') = 'number') as means,
        max(metrics_json ->> 'avg_customer_lifetime_days') as mean,
        {sums}
    from shared
    group by consumer_id, snapshot_timestamp
),

mapped as (
    select consumer_id, snapshot_timestamp, jsonb_object_agg(map, counts) as maps
    from (
        select consumer_id, snapshot_timestamp, map, jsonb_object_agg(name, n) as counts
        from (
            select
                consumer_id,
                snapshot_timestamp,
                map,
                name,
                sum(n::bigint)::bigint as n
            from shared
            cross join unnest({maps}) as map
            cross join lateral jsonb_each_text(metrics_json -> map) as counted (name, n)
            group by consumer_id, snapshot_timestamp, map, name
        ) as of_name
        group by consumer_id, snapshot_timestamp, map
    ) as of_map
    group by consumer_id, snapshot_timestamp
),

born as (
    select
        consumer_id,
        snapshot_timestamp,
        sum(customers)::bigint as customers,
        sum(dated)::bigint as dated,
        sum(created_us) as created_us
    from pg_temp.shard_lifetimes
    group by consumer_id, snapshot_timestamp
)

select
    instants.consumer_id,
    instants.snapshot_timestamp,
    instants.document
    || coalesce(mapped.maps, '{{}}')
    || jsonb_build_object(
        {figures},
        'incremental_stats', (instants.document -> 'incremental_stats') || jsonb_build_object({window})
    )
    || case
        when instants.means < 2
            then jsonb_build_object('avg_customer_lifetime_days', instants.mean::numeric)
        when coalesce(counted.counted <> instants.customers, true)
            then jsonb_build_object(
                'avg_customer_lifetime_days',
                coalesce(old.metrics_json -> 'avg_customer_lifetime_days', 'null')
            )
        else '{{}}'
    end as metrics_json
from summed as instants
left join public.consumer_analytics as old using (consumer_id, snapshot_timestamp)
left join mapped using (consumer_id, snapshot_timestamp)
left join (
    select consumer_id, snapshot_timestamp, customers as counted, dated, created_us
    from born
) as counted using (consumer_id, snapshot_timestamp)
union all
select consumer_id, snapshot_timestamp, metrics_json
from pg_temp.shard_rows as alone
where consumer_id is not null
    and not exists (
        select from pg_temp.shared_rows as several
        where several.consumer_id = alone.consumer_id
            and several.snapshot_timestamp = alone.snapshot_timestamp
    )
