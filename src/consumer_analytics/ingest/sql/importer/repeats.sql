-- Ids that a file has more than once: how many rows too many, and the first ids
-- whose rows are not the same.
with twice as (
    select {key}, count(*) - 1 as repeats
    from {stage}
    group by {key}
    having count(*) > 1
),

contradictions as (
    select staged.{key}, array_agg(staged.line order by staged.line) as lines
    from {stage} as staged
    inner join twice using ({key})
    group by staged.{key}
    having count(distinct row({contents})::text) > 1
)

select
    (select coalesce(sum(repeats), 0)::bigint from twice) as repeats,
    (select count(*) from contradictions) as contradictions,
    (
        select coalesce(json_agg(first_ones), '[]')
        from (
            select {key}::text as id, lines[1] as first_line, lines[2] as second_line
            from contradictions
            order by lines[2]
            limit %(limit)s
        ) as first_ones
    ) as examples
