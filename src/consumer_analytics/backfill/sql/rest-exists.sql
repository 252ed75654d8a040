select exists (
    select
    from backfill_counted
    where rest is not null
        and case when rest ~ '\S' then rest else '(none)' end <> all (%(types)s::text[])
)
