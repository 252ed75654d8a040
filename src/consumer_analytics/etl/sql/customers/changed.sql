-- Today's customers, and what their rows do not tell: the beginning of a statement, for
-- customers-extract.
{lives},

changed_back as (
    select
        consumer_id,
        change.slot,
        change.status,
        change.n
    from unlike
    cross join lateral (
        values (from_slot, status, 1), (from_slot, status_today, -1), (until_slot, status, -1), (until_slot, status_today, 1)
    ) as change (slot, status, n)
),

present as materialized ({present}),

changes as (
    select
        consumer_id,
        slot,
        case
            -- Nearly all begin with a letter, which costs less to see.
            when status collate "C" >= '!' and status collate "C" < '~' then status
            when status ~ '\S' then status
            else '(none)'
        end as status,
        sum(n) as n,
        coalesce(sum(dated), 0) as dated,
        coalesce(sum(created_us), 0) as created_us,
        coalesce(sum(born), 0) as born
    from (
        select {change_columns}
        from present
        union all
        select consumer_id, slot, status, n, null, null, null
        from changed_back
        union all
        select {change_columns}
        from returned
    ) as rows
    group by 1, 2, 3
)
