-- What was noticed of consumers in a week.
select
    coalesce(known.name::text, anomaly.consumer_id::text) as name,
    anomaly.anomaly_id,
    anomaly.consumer_id,
    anomaly.kind,
    anomaly.event_type,
    anomaly.begins,
    anomaly.ends,
    anomaly.observed,
    anomaly.expected,
    anomaly.low,
    anomaly.high,
    anomaly.seen_at,
    anomaly.over_at
from consumer_analytics_internal.anomalies as anomaly
left join {consumers} as known on anomaly.consumer_id = known.consumer_id
where anomaly.ends > %(since)s and anomaly.ends <= %(until)s
order by anomaly.ends, anomaly.anomaly_id
limit %(most)s
