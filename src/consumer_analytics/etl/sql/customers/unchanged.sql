-- Today's customers as they are, where nothing has happened to any since: the beginning of
-- a statement, for customers-extract.
present as ({present}),

changes as (
    select
        consumer_id,
        slot,
        case when status ~ '\S' then status else '(none)' end as status,
        n,
        dated,
        created_us,
        born
    from present
)
