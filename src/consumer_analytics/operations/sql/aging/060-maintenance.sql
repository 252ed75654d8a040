from consumer_analytics_internal.maintenance as aged
where aged.started_at < %(before)s::timestamptz
