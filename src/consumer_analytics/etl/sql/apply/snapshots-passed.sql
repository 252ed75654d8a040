-- Whether there are snapshots, or rows of chosen consumers, of instants that runs have not come to yet.
select exists (
    select
    from public.consumer_analytics
    where consumer_id is null
        and snapshot_timestamp > %(known)s::timestamptz
        and snapshot_timestamp <= %(until)s::timestamptz
        and snapshot_timestamp <> all (%(snapshots)s::timestamptz[])
)
or exists (
    select
    from consumer_analytics_internal.written_apart
    where snapshot_timestamp > %(known)s::timestamptz
        and snapshot_timestamp <= %(until)s::timestamptz
        and consumers <> '{{}}'
)
