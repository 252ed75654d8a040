-- The rows of the whole system: sums of the shards', but for how many consumers there are, of whom
-- several may have some: as many as there are rows. Where what was published says no number, somebody has
-- edited it: its rows are counted.
with rows as materialized (
    select *
    from pg_temp.shard_rows
    where consumer_id is null
),

summed as (
    select
        snapshot_timestamp,
        (array_agg(metrics_json order by shard))[1] as document,
        {sums}
    from rows
    group by snapshot_timestamp
),

mapped as (
    select snapshot_timestamp, jsonb_object_agg(map, counts) as maps
    from (
        select snapshot_timestamp, map, jsonb_object_agg(name, n) as counts
        from (
            select snapshot_timestamp, map, name, sum(n::bigint)::bigint as n
            from rows
            cross join unnest({maps}) as map
            cross join lateral jsonb_each_text(metrics_json -> map) as counted (name, n)
            group by snapshot_timestamp, map, name
        ) as of_name
        group by snapshot_timestamp, map
    ) as of_map
    group by snapshot_timestamp
),

there as materialized (
    select
        snapshot_timestamp,
        coalesce(
            jsonb_path_query_first(metrics_json -> {counted}, {a_number})::bigint,
            (
                select count(*)
                from public.consumer_analytics as one
                where one.snapshot_timestamp = whole.snapshot_timestamp and one.consumer_id is not null
            )
        ) as consumers
    from public.consumer_analytics as whole
    where consumer_id is null
        and snapshot_timestamp in (select snapshot_timestamp from summed)
        and snapshot_timestamp <> all({whole})
),

of_consumers as materialized (
    select distinct consumer_id, snapshot_timestamp
    from pg_temp.shard_rows
    where consumer_id is not null
),

moved as (
    select snapshot_timestamp, sum(n)::bigint as n
    from (
        select snapshot_timestamp, 1 as n
        from of_consumers as new
        where snapshot_timestamp = any({whole})
            or not exists (
                select from public.consumer_analytics as old
                where old.consumer_id = new.consumer_id
                    and old.snapshot_timestamp = new.snapshot_timestamp
                offset 0
            )
        union all
        select asked.snapshot_timestamp, -1
        from pg_temp.shard_pairs as asked
        join public.consumer_analytics as old using (consumer_id, snapshot_timestamp)
        where asked.snapshot_timestamp <> all({whole})
            and not exists (
                select from of_consumers as new
                where new.consumer_id = asked.consumer_id
                    and new.snapshot_timestamp = asked.snapshot_timestamp
            )
    ) as parts
    group by snapshot_timestamp
)

insert into pg_temp.rendered_snapshots (consumer_id, snapshot_timestamp, metrics_json)
select
    null::uuid,
    summed.snapshot_timestamp,
    summed.document
    || coalesce(mapped.maps, '{{}}')
    || jsonb_build_object(
        {figures},
        {counted}, coalesce(there.consumers, 0) + coalesce(moved.n, 0),
        'incremental_stats', (summed.document -> 'incremental_stats') || jsonb_build_object({window})
    )
from summed
left join mapped using (snapshot_timestamp)
left join there using (snapshot_timestamp)
left join moved using (snapshot_timestamp)
