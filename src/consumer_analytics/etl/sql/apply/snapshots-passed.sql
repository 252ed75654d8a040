-- Whether there are snapshots of instants that runs have not come to yet.
select exists (
    select
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp > %(known)s::timestamptz
        and snapshot_timestamp <= %(until)s::timestamptz
        and snapshot_timestamp <> all (%(snapshots)s::timestamptz[])
)
