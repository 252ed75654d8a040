from consumer_analytics_internal.anomalies as aged
where aged.over_at < %(before)s::timestamptz
