select
    anomaly_id, consumer_id, kind, event_type, begins, ends, observed, expected, low, high,
    seen_at, over_at
from consumer_analytics_internal.anomalies
where over_at is null
order by consumer_id, anomaly_id
