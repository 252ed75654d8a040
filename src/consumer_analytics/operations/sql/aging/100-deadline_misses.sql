from consumer_analytics_internal.deadline_misses as aged
where aged.noticed_at < %(before)s::timestamptz
