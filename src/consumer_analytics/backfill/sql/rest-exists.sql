select exists (
    select
    from backfill_counted
    where rest is not null
        and rest <> all (%(types)s::text[])
)
