-- The whole system's customers at each of the `wrong` instants: the sum of all, who have been counted.
summed as (
    select
        wrong.slot,
        statuses.total,
        statuses.by_status,
        coalesce(born_then.n, 0) as born,
        stray.total as unattributed
    from wrong
    left join (
        select slot, sum(n)::bigint as total, jsonb_object_agg(status, n) filter (where n <> 0) as by_status
        from (
            select wrong.slot, status, sum(n)::bigint as n
            from wrong
            join (
                select slot, status, sum(n) as n
                from pg_temp.extracted_customers
                where consumer_id is not null
                group by slot, status
            ) as changes on changes.slot <= wrong.slot
            group by wrong.slot, status
        ) as by_status
        group by slot
    ) as statuses using (slot)
    left join (
        select slot, sum(n)::bigint as n
        from born
        where consumer_id is not null
        group by slot
    ) as born_then using (slot)
    left join (select slot, total from there where consumer_id is null) as stray using (slot)
)
