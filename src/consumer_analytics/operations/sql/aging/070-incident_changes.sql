from consumer_analytics_internal.incident_changes as aged
where exists (
    select from consumer_analytics_internal.incidents as incident
    where incident.incident_id = aged.incident_id and incident.closed_at < %(before)s::timestamptz
)
