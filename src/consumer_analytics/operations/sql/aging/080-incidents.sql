from consumer_analytics_internal.incidents as aged
where aged.closed_at < %(before)s::timestamptz
