-- An incident as it is now; the worst that it was stays.
update consumer_analytics_internal.incidents
set
    state = %(state)s,
    worst = case when 'critical' in (worst, %(state)s) then 'critical' else 'warning' end,
    cause = %(cause)s,
    measures = %(measures)s,
    closed_at = %(closed_at)s
where incident_id = %(incident_id)s
returning incident_id, subject, state, worst, cause, opened_at, closed_at, measures, told_at
