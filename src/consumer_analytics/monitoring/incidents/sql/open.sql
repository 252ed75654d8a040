insert into consumer_analytics_internal.incidents
    (subject, opened_at, state, worst, cause, measures)
values (%(subject)s, %(at)s, %(state)s, %(state)s, %(cause)s, %(measures)s)
returning incident_id, subject, state, worst, cause, opened_at, closed_at, measures, told_at
