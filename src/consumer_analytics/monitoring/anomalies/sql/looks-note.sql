update consumer_analytics_internal.anomaly_looks set judged_to = %(at)s
