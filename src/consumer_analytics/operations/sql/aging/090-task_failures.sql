from consumer_analytics_internal.task_failures as aged
where aged.failed_at < %(before)s::timestamptz
