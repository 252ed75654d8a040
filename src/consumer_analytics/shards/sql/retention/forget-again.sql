-- That some instants were thinned, which are there again, is known no more.
delete from consumer_analytics_internal.thinned_snapshots as thinned
where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    and (
        exists (
            select from public.consumer_analytics as whole
            where whole.consumer_id is null and whole.snapshot_timestamp = thinned.snapshot_timestamp
        )
        or exists (
            select from consumer_analytics_internal.written_apart as apart
            where apart.snapshot_timestamp = thinned.snapshot_timestamp and apart.consumers <> '{{}}'
        )
    )
