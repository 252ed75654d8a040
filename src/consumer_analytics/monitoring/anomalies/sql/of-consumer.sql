-- What is and was odd with a consumer, what lasts first.
select
    anomaly_id, consumer_id, kind, event_type, begins, ends, observed, expected, low, high,
    seen_at, over_at
from consumer_analytics_internal.anomalies
where consumer_id = %(consumer)s
order by over_at is not null, ends desc, anomaly_id desc
limit %(limit)s
