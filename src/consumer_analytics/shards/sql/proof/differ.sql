-- Values of published documents that are not what the shards' documents make of them. Each document
-- is taken apart into its values, by path: numbers must be the sum, words the same. What no
-- sum tells is worked out of the sums; a mean of several shards lies between theirs.
with documents as materialized (
    select 1 as side, consumer_id, at, document
    from pg_temp.proof_rows
    union all
    select 2, consumer_id, snapshot_timestamp, metrics_json
    from public.consumer_analytics
    where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
),

-- Each row is a value, too.
values_of as materialized (
    select side, consumer_id, at, 'row' as path, 'true'::jsonb as value
    from documents
    union all
    select
        side,
        consumer_id,
        at,
        case when inner_key is null then key else key || '.' || inner_key end,
        coalesce(inner_value, value)
    from documents
    cross join lateral jsonb_each(
        case when jsonb_typeof(document) = 'object' then document else '{{}}' end
    ) as outermost (key, value)
    left join lateral jsonb_each(
        case when jsonb_typeof(value) = 'object' then value else '{{}}' end
    ) as innermost (inner_key, inner_value) on true
    -- A map without anything in it is no value.
    where jsonb_typeof(value) <> 'object' or inner_key is not null
),

sides as materialized (
    select
        consumer_id,
        at,
        path,
        count(*) filter (where side = 1) as told,
        count(*) filter (where side = 2) as published,
        sum(case when side = 1 and jsonb_typeof(value) = 'number' then value::text::numeric end) as summed,
        min(case when side = 1 and jsonb_typeof(value) = 'number' then value::text::numeric end) as lowest,
        max(case when side = 1 and jsonb_typeof(value) = 'number' then value::text::numeric end) as highest,
        count(*) filter (where side = 1 and jsonb_typeof(value) = 'number') as numbers,
        min(value::text) filter (where side = 1) as word,
        array_agg(distinct value::text) filter (where side = 1) as words,
        min(value::text) filter (where side = 2) as kept
    from values_of
    group by consumer_id, at, path
),

rows as materialized (
    select at, count(*) as consumers
    from sides
    where path = 'row' and consumer_id is not null and told > 0
    group by at
),

due as (
    select
        sides.at,
        sides.consumer_id,
        sides.path,
        sides.kept,
        case
            when sides.path = 'row' then case when told > 0 then 'true' end
            when sides.path = 'consumers_in_system' then coalesce(rows.consumers, 0)::text
            when sides.path = 'system_wide_active_ratio' then (
                select
                    case
                        when whole.summed > 0 then round(active.summed / whole.summed, 4)::text
                        else '0'
                    end
                from sides as active
                join sides as whole on whole.at = active.at and whole.consumer_id is null
                where active.at = sides.at
                    and active.consumer_id is null
                    and active.path = 'active_customers_all_consumers'
                    and whole.path = 'total_customers_all_consumers'
            )
            when sides.path = 'avg_customer_lifetime_days' then case
                when numbers = 0 then 'null'
                when numbers = 1 then lowest::text
                when sides.kept ~ '^-?[0-9]+([.][0-9]+)?$' and length(sides.kept) < 40
                    and case
                        when sides.kept ~ '^-?[0-9]+([.][0-9]+)?$'
                            then sides.kept::numeric between lowest - 0.01 and highest + 0.01
                    end
                    then sides.kept
                else 'between ' || lowest || ' and ' || highest
            end
            when numbers > 0 then summed::text
            when cardinality(words) = 1 then word
            -- An instant that one shard had by a run may have been written by a backfill in another.
            when sides.path = 'snapshot_source' and sides.kept = any(words) then sides.kept
        end as due
    from sides
    left join rows on rows.at = sides.at
)

select at, consumer_id::text, path, kept, due
from due
where kept is distinct from due
order by at, consumer_id nulls last, path
