-- That some instants were thinned, which are there again, is known no more.
delete from consumer_analytics_internal.thinned_snapshots as thinned
where snapshot_timestamp = any(%(snapshots)s::timestamptz[])
    and ({there_again})
