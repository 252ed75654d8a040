from consumer_analytics_internal.backfills as aged
where aged.state <> 'running' and coalesce(aged.finished_at, aged.started_at) < %(before)s::timestamptz
