-- Whether any of the rows to be written may be there, or one that should not be, of consumers who
-- were chosen: one look into the unique index for each consumer.
select exists (
    select
    from (
        select consumer_id from listed_consumers
        union
        select unnest(%(consumers)s::uuid[])
    ) as listed
    where exists (
        select
        from public.consumer_analytics as old
        where old.consumer_id = listed.consumer_id
            and old.snapshot_timestamp between %(from)s::timestamptz and %(until)s::timestamptz
    )
) or exists (
    select
    from public.consumer_analytics as old
    where old.consumer_id is null
        and old.snapshot_timestamp between %(from)s::timestamptz and %(until)s::timestamptz
)
