select nullif(max(judged_to), '-infinity') from consumer_analytics_internal.anomaly_looks
